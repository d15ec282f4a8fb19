"""The requests of a run with their answers, one request whole, and the quota."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from target_apollo.sandbox.data.store import Store
from target_apollo.sandbox.page.choice import Choice, View, address
from target_apollo.sandbox.page.runs import Run, endpoints_of, run_of, runs_of
from target_apollo.sandbox.page.tables import (
    Bar,
    Cell,
    Look,
    Table,
    Text,
    cell,
    clock,
    counted,
    holds,
    lines_shown,
    plural,
    shown,
    sliced,
    stamp,
    table_of,
    took,
)
from target_apollo.sandbox.serving.rate_windows import Usage
from target_apollo.sandbox.state import MOST_KEPT, RequestSeen, Sandbox

EVERY = "every"
_SECRET = "POST /oauth/token"  # noqa: S105 - an endpoint
_LONGEST_BODY = 20_000


@dataclass(frozen=True)
class OneRequest:
    """One request in detail.

    Attributes:
        sent: Its body, cut if it is long; empty for a request of tokens, which consists of secrets.
        answered: The beginning of the answer's body.
        cut: What of the bodies is not shown, as sentences.
        records: Views with the records that it made or changed: name and address.
    """

    title: str
    facts: Sequence[tuple[str, Cell]]
    sent: str
    answered: str
    cut: Sequence[str]
    records: Sequence[Text]


def records_of(store: Store) -> dict[View, Mapping[str, Any]]:
    """View -> the store's records of that kind, by their ids."""
    return {
        View.CONTACTS: store.contact_by_id,
        View.ACCOUNTS: store.account_by_id,
        View.LISTS: store.workspace.labels,
        View.SEQUENCES: store.sequences.by_id,
        View.DEALS: store.deals.by_id,
        View.TASKS: store.tasks.by_id,
    }


def requests_table(sandbox: Sandbox, choice: Choice) -> Table:
    """The requests of the chosen run, or of the last one; newest first."""
    words = choice.search.lower().split()
    run = chosen_run(sandbox, choice)
    seen = sandbox.requests if choice.of == EVERY else run.requests if run else ()
    found = (
        one
        for one in reversed(seen)
        if holds(f"{one.endpoint}\n{one.path}?{one.query}\n{one.status}\n{one.agent}", words)
    )
    some = sliced(found, None, choice.part)
    heads = ("Request", "Answer", "Records sent", "Records answered", "Took")
    none = "No request is like that." if words else "There is no request yet."
    return table_of("Requests", heads, some, map(_row, some.items), none)


def chosen_run(sandbox: Sandbox, choice: Choice) -> Run | None:
    """The run that a choice names, else the last one; None without any request."""
    requests = sandbox.requests
    if choice.by == "run" and choice.of != EVERY:
        return run_of(requests, choice.of)
    runs = runs_of(requests)
    return runs[0] if runs else None


def runs_shown(sandbox: Sandbox, most: int = 8) -> list[tuple[Text, str]]:
    """The last runs, each with the address of its requests and in some words."""
    return [
        (
            Text(stamp(run.requests[0].at), href=address(View.REQUESTS, run=run.first)),
            f"{plural(len(run.requests), 'request')} by {agent_of(run)}"
            f"{', beside another run of it' if run.is_beside_another else ''}",
        )
        for run in runs_of(sandbox.requests)[:most]
    ]


def agent_of(run: Run) -> str:
    """The program that a run is of."""
    return shown(run.agent) or "a program without a name"


def endpoints_table(run: Run) -> Table:
    """What a run asked of each endpoint."""
    rows = [
        [
            cell(Text(shown(use.endpoint), Look.CODE)),
            cell(f"{len(use.requests):,}", number=True),
            cell(*_statuses(Run(use.requests))),
            cell(*_counted(use.records)),
            cell(took(sum(seen.seconds for seen in use.requests)), number=True),
        ]
        for use in endpoints_of(run)
    ]
    heads = ("Endpoint", "Requests", "Answers", "Records answered", "Took")
    return Table("The run by endpoint", heads, rows, "There is no request yet.", len(rows))


def one_request(sandbox: Sandbox, choice: Choice) -> OneRequest | None:
    """The request that a choice names by its number; None if the log has it no more."""
    seen = next((one for one in sandbox.requests if str(one.number) == choice.record), None)
    if seen is None:
        return None
    is_secret = seen.endpoint == _SECRET
    sent = "" if is_secret else _body_shown(seen.raw_body)
    cut = ["Its bodies consist of secrets and are not shown."] if is_secret else []
    if seen.answer_bytes > MOST_KEPT and not is_secret:
        cut.append(
            f"Of {seen.answer_bytes:,} bytes of the answer the first {MOST_KEPT:,} are kept."
        )
    touched = sandbox.store.origins.touched
    return OneRequest(
        title=f"Request {seen.number:,}: {shown(seen.endpoint)}",
        facts=_facts(seen),
        sent=sent,
        answered="" if is_secret else _answer_shown(seen),
        cut=cut,
        records=[
            Text(f"{count:,} {view.value}", href=address(view, request=seen.number))
            for view, records in records_of(sandbox.store).items()
            if (count := sum(touched(one, (seen.number,)) for one in records))
        ],
    )


def quota_table(usage: Mapping[str, Sequence[Usage]]) -> Table:
    """The three windows of each endpoint that was asked, as bars."""
    rows = [
        [cell(Text(shown(entry), Look.CODE)), *(Cell(bar=_bar(window)) for window in windows)]
        for entry, windows in sorted(usage.items())
    ]
    heads = ("Endpoint", "Minute", "Hour", "Day")
    return Table("Quota by endpoint", heads, rows, "No endpoint was asked yet.", len(rows))


def _bar(window: Usage) -> Bar:
    until = ""
    if window.ends_at is not None:
        is_day = window.window == "day"
        until = f", until {stamp(window.ends_at) if is_day else clock(window.ends_at)}"
    return Bar(window.used, window.limit, until)


def _row(seen: RequestSeen) -> list[Cell]:
    href = address(View.REQUESTS, str(seen.number))
    return [
        cell(
            Text(f"#{seen.number} {shown(seen.endpoint)}", href=href),
            Text(f"{clock(seen.at)} {_query_shown(seen)}", Look.SOFT),
        ),
        cell(
            _status(seen.status),
            Text(f"fault: {seen.fault.value}", Look.WARN) if seen.fault else None,
        ),
        cell(*_counted(_counts_sent(seen))),
        cell(*_counted(seen.counts)),
        cell(took(seen.seconds), number=True),
    ]


def _query_shown(seen: RequestSeen) -> str:
    return "" if seen.api_key_in_url else shown(seen.query)


def _statuses(run: Run) -> list[Text]:
    statuses = sorted(run.statuses.items())
    return [
        Text(f"{count:,} × {_status(status).text}", _status(status).look)
        for status, count in statuses
    ]


def _status(status: int) -> Text:
    if not status:
        return Text("none: reset", Look.BAD)
    return Text(str(status), Look.GOOD if status < 300 else Look.BAD)


def _counts_sent(seen: RequestSeen) -> dict[str, int]:
    body = None if seen.endpoint == _SECRET else seen.body
    if not isinstance(body, dict):
        return {}
    return {shown(key): len(value) for key, value in body.items() if isinstance(value, list)}


def _counted(counts: Mapping[str, int]) -> list[str]:
    return [
        counted(count, shown(name).replace("_", " ")) for name, count in counts.items() if count
    ]


def _facts(seen: RequestSeen) -> list[tuple[str, Cell]]:
    query = _query_shown(seen)
    target = f"{seen.path}?{query}" if query else seen.path
    facts = [
        ("Sent", cell(f"{seen.method} {shown(target, 1000)}")),
        ("When", cell(stamp(seen.at))),
        ("By", cell(shown(seen.agent) or "a program without a name")),
        ("Answer", cell(_status(seen.status))),
        ("Took", cell(took(seen.seconds))),
        ("Fault", cell(seen.fault.value if seen.fault else None)),
        ("Records sent", cell(*_counted(_counts_sent(seen)))),
        ("Records answered", cell(*_counted(seen.counts))),
    ]
    return [(name, found) for name, found in facts if not found.is_empty]


def _body_shown(raw: bytes) -> str:
    if len(raw) > _LONGEST_BODY:
        return lines_shown(raw[:_LONGEST_BODY].decode("utf-8", "replace") + "…", _LONGEST_BODY + 1)
    try:
        text = msgspec.json.format(raw, indent=2).decode("utf-8", "replace") if raw else ""
    except msgspec.DecodeError:
        text = raw.decode("utf-8", "replace")
    return lines_shown(text, 2 * _LONGEST_BODY)


def _answer_shown(seen: RequestSeen) -> str:
    if seen.answer_bytes <= MOST_KEPT:
        return _body_shown(seen.answer)
    return lines_shown(seen.answer.decode("utf-8", "replace") + "…", MOST_KEPT + 1)
