"""The report as one page: no script, nothing from the network, every text escaped. Pure.

Its policy lets nothing in but its own style sheet, whose hash it names.

The page's lists: rejects, requests, protected values, duplicates, differences, fields. Pure.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from xml.etree.ElementTree import Element  # nosec B405

from target_apollo.reporting.chart import heading_of, hint_of, outcomes_over_time, way_into_apollo
from target_apollo.reporting.detail import Detail, ProtectedRow, RejectRow, RequestRow
from target_apollo.reporting.html import Child, Field, bar, card_table, document, tag
from target_apollo.reporting.past_runs import OPEN, OUTCOMES, RECEIVED, PastRun
from target_apollo.reporting.styles import STYLE
from target_apollo.reporting.summaries import Difference, Duplicate, Window, Windows
from target_apollo.reporting.words import (
    amount,
    duplicate_words,
    end_of,
    outlook_of,
    reason_words,
    story_of,
)
from target_apollo.sync.words import duration, number, plural, printable

_KEYS = 50

_LONGEST_VALUE = 200

_GROUPS = 50
#: Percent of a window from which its bar warns.
_NEAR = 80


def streams(detail: Detail) -> Element:
    """Outcomes of each stream; those that none had are left out."""
    met = [
        outcome
        for outcome in OUTCOMES
        if any(getattr(stream, outcome) for stream in detail.streams.values())
    ]
    rows = [
        (
            tag("code", printable(name)),
            [
                Field(number(count), "n" if count else "n zero", label=outcome)
                for outcome in met
                for count in [getattr(stream, outcome)]
            ],
            "",
        )
        for name, stream in detail.streams.items()
    ]
    return card_table("Outcomes by stream", ["stream", *met], rows, numbers=(1, len(met)))


def rejects(rows: Sequence[RejectRow]) -> Element:
    """Rejected records by reason, with the keys that are still in the rejects file."""
    return tag("ul", [_reject(row) for row in rows], class_="items")


def _reject(row: RejectRow) -> Element:
    kept = row.kept
    said = None
    if not kept.keys:
        said = tag("span", "None of them is in the rejects file any more.", class_="hint")
    elif row.number > kept.number:
        gone = number(row.number - kept.number)
        said = tag("span", f"{gone} of them left the rejects file since.", class_="hint")
    return tag(
        "li",
        tag(
            "p",
            tag("b", number(row.number), class_="bad-text"),
            tag("span", reason_words(row.reason)),
        ),
        tag(
            "div", tag("code", row.reason), " in ", tag("code", printable(row.stream)), class_="old"
        ),
        _keys(kept.keys, kept.number) if kept.keys else None,
        said,
    )


def _keys(keys: Sequence[str], total: int) -> Element:
    more = total - len(keys[:_KEYS])
    rest = tag("li", f"and {number(more)} more", class_="more") if more > 0 else None
    shown = [tag("li", key) for key in keys[:_KEYS]]
    return tag("ul", shown, rest, class_="keys", aria_label="Keys")


def requests(rows: Sequence[RequestRow]) -> Element:
    """Requests per endpoint, and how much of each of Apollo's windows is used."""
    estimated = any(row.estimated is not None for row in rows)
    heads = ["endpoint", "sent", *(["estimated"] if estimated else []), "minute", "hour", "day"]
    table_rows = []
    for row in rows:
        fields = [Field(number(row.sent), "n", label="sent")]
        if estimated:
            known = row.estimated is not None
            fields.append(Field(number(row.estimated), "n" if known else "n zero", "estimated"))
        windows = row.windows or Windows()
        fields += [_window(getattr(windows, name), name) for name in ("minute", "hour", "day")]
        table_rows.append((tag("code", row.endpoint), fields, ""))
    numbers = 2 if estimated else 1
    return card_table(
        "Requests and limits by endpoint",
        heads,
        table_rows,
        numbers=(1, numbers),
        class_="cards quota",
    )


def _window(window: Window, name: str) -> Field:
    limit, used = window.limit, _used(window)
    if limit is None or used is None:
        return Field("not told", "zero")
    percent = 100 * used / limit if limit else 100
    tone = "full" if percent >= 100 else "near" if percent >= _NEAR else "mark"
    left = max(0, limit - used)
    said = f"{number(used)} of {number(limit)}, {number(left)} left"
    return Field([bar([(tone, used)], limit), tag("span", said)], f"share {name}", label=name)


def _used(window: Window) -> int | None:
    of_left = None
    if window.limit is not None and window.left is not None:
        of_left = window.limit - window.left
    return max((count for count in (window.usage, of_left) if count is not None), default=None)


def protected(rows: Sequence[ProtectedRow]) -> list[Element]:
    """Values that field policies kept as they are in Apollo."""
    parts: list[Element] = []
    for row in rows:
        parts.append(tag("h3", f"{plural(row.number, 'value')} of {printable(row.kind)}"))
        most = row.fields[0][1]
        parts.append(
            tag(
                "ul",
                [
                    tag(
                        "li",
                        tag("code", name),
                        tag("strong", number(count)),
                        bar([("mark", count)], most),
                    )
                    for name, count in row.fields
                ],
                class_="fields",
            )
        )
    return parts


def deleted(counts: Sequence[tuple[str, int]]) -> Element:
    """Rows deleted at the source, by stream."""
    return tag(
        "ul",
        [
            tag("li", tag("p", tag("b", number(count)), tag("code", printable(name))))
            for name, count in counts
        ],
        class_="items",
    )


def duplicates(groups: Sequence[Duplicate], found: int) -> Element:
    """Rows that look like one record."""
    rest = found - len(groups[:_GROUPS])
    return tag(
        "ul",
        [
            tag(
                "li",
                tag("div", duplicate_words(group.kind), " in ", tag("code", group.stream)),
                _keys(group.keys, len(group.keys)) if group.keys else None,
            )
            for group in groups[:_GROUPS]
        ],
        tag("li", f"and {plural(rest, 'further group')}", class_="old") if rest > 0 else None,
        class_="items",
    )


def differences(found: Sequence[Difference]) -> Element:
    """What a dry run would change."""
    rows = [
        (
            tag("span", tag("code", one.stream), " ", printable(one.key)),
            [
                Field(tag("code", one.field), "wide"),
                Field(_value(one.apollo), "wide old", label="in Apollo:"),
                Field(_value(one.new), "wide", label="new:"),
            ],
            "",
        )
        for one in found
    ]
    heads = ["record", "field", "in Apollo", "new"]
    return card_table("Differences to Apollo's values", heads, rows)


def _value(value: object) -> str:
    if value is None or value == "":
        return "(empty)"
    text = str(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def not_written(detail: Detail) -> Element:
    """Fields that have no place in Apollo, and those that can't be changed on existing records."""
    lines = [
        tag("li", tag("code", of), ": no place in Apollo for ", _codes(names))
        for of, names in detail.not_placed
    ]
    lines += [
        tag(
            "li",
            f"On {printable(kind)} that exist, Apollo has no way to change ",
            _codes([name for name, _ in fields]),
        )
        for kind, fields in detail.not_writable
    ]
    return tag("ul", lines, class_="items")


def _codes(names: Sequence[str]) -> list[Element | str]:
    parts: list[Element | str] = []
    for name in names[:_KEYS]:
        parts += [", "] if parts else []
        parts.append(tag("code", name))
    rest = len(names) - _KEYS
    return [*parts, f" and {number(rest)} more"] if rest > 0 else parts


def page(runs: Sequence[PastRun], detail: Detail, now: datetime) -> str:
    """The whole file.

    Args:
        runs: The runs for the chart, the newest first.
        detail: The run that the page is about.
        now: When the page is made, aware.
    """
    run = detail.run
    return document(
        tag(
            "html",
            _head(f"Apollo sync, {_long(run.started_at)}"),
            tag(
                "body",
                _header(run, detail),
                tag("main", _sections(runs, detail)),
                tag(
                    "footer",
                    tag(
                        "p",
                        f"Made by apollo-sync report on {_long(now)}. This page names records by "
                        "their keys: share it as you would share the list itself.",
                    ),
                ),
            ),
            lang="en",
        )
    )


def _head(title: str) -> Element:
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="robots", content="noindex"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", title),
        tag("style", STYLE),
    )


def _header(run: PastRun, detail: Detail) -> Element:
    end = end_of(run)
    facts = [f"Run {run.run_id}"]
    facts += [f"mode {run.mode}"] if run.mode else []
    facts += [f"team {run.team}"] if run.team else []
    facts += ["no summary: only the ledger's counts are known"] if detail.summary is None else []
    facts += ["not in the ledger"] if not run.in_ledger else []
    return tag(
        "header",
        tag("p", "Warehouse to Apollo", class_="over"),
        tag(
            "h1",
            "Dry run of " if run.dry else "Sync of ",
            tag("time", _long(run.started_at), datetime=run.started_at.isoformat()),
        ),
        tag("p", end.words.capitalize(), class_=f"badge {end.tone.value}"),
        tag("p", story_of(run), class_="story"),
        tag("p", run.because, class_=f"because {end.tone.value}") if run.because else None,
        tag("p", " · ".join(map(printable, facts)), class_="facts"),
    )


def _sections(runs: Sequence[PastRun], detail: Detail) -> list[Element | None]:
    run, summary = detail.run, detail.summary
    rejected = sum(row.number for row in detail.rejects)
    way = way_into_apollo(detail)
    parts = [
        _tiles(run) if run.counts else None,
        _section("way", heading_of(detail), hint_of(detail), way) if way else None,
    ]
    if detail.rejects:
        hint = (
            "They cost no other row. Mend them at their source, where their next change brings "
            "them again, or send the rejects file again with apollo-sync replay."
        )
        heading = f"{plural(rejected, 'row')} could not be written"
        parts.append(_section("rejects", heading, hint, rejects(detail.rejects)))
    many = plural(len(runs), "run")
    parts.append(
        _section(
            "runs",
            "Over time" if len(runs) > 1 else "This run",
            f"The last {many}, in UTC. The highlighted one is the run of this page.",
            outcomes_over_time(runs, run),
        )
    )
    if len(detail.streams) > 1:
        parts.append(_section("streams", "By stream", "", streams(detail)))
    if detail.requests:
        parts.append(
            _section("requests", "Requests", _requests_hint(detail), requests(detail.requests))
        )
    if detail.protected:
        total = sum(row.number for row in detail.protected)
        hint = "What your field policy leaves to people in Apollo was not written over."
        body = protected(detail.protected)
        parts.append(_half("protected", f"Protected {plural(total, 'value')}", hint, body))
    if detail.duplicates.found:
        found = detail.duplicates
        heading = plural(found.found, "group of duplicates", "groups of duplicates")
        hint = "Rows by their keys. Merge them at their source."
        body = [duplicates(found.listed, found.found)]
        parts.append(_half("duplicates", heading, hint, body))
    if detail.deleted:
        hint = "Apollo deletes nothing by API: these were moved to a stage or list instead."
        body = [deleted(detail.deleted)]
        parts.append(_half("deleted", "Deleted at the source", hint, body))
    if detail.not_placed or detail.not_writable:
        hint = "They were left out; the rest of their rows was written."
        body = [not_written(detail)]
        parts.append(_half("fields", "Fields that were not written", hint, body))
    if summary and summary.diffs:
        hint = "Samples of what a run without dry_run would change."
        heading = plural(len(summary.diffs), "sample difference")
        parts.append(_section("differences", heading, hint, differences(summary.diffs)))
    return parts


def _tiles(run: PastRun) -> Element:
    same = (run.count("unchanged") or 0) + (run.count("existing") or 0)
    tiles = [
        ("created", amount(run, "created"), "to create" if run.dry else "created in Apollo"),
        ("updated", amount(run, "updated"), "to update" if run.dry else "updated in Apollo"),
        ("unchanged", number(same), "needed no change"),
        ("rejected", amount(run, "rejected"), "could not be written"),
    ]
    if run.count(OPEN):
        tiles.append(("open", amount(run, OPEN), "left for the next run"))
    return tag(
        "section",
        tag(
            "dl",
            [
                tag("div", tag("dt", words), tag("dd", count), class_=f"tile {name}")
                for name, count, words in tiles
            ],
            class_="tiles",
        ),
        class_="plain",
        aria_label=f"What became of {amount(run, RECEIVED)} rows",
    )


def _requests_hint(detail: Detail) -> str:
    summary = detail.summary
    if summary is None:
        return ""
    api = summary.api
    said = [f"{plural(sum(api.requests.values()), 'request')} to Apollo"]
    if summary.estimate and summary.estimate.requests:
        said.append(f"{number(sum(summary.estimate.requests.values()))} writing ones estimated")
    said.append(plural(api.retries, "retry", "retries"))
    said.append(f"{number(api.rate_limited)} refused for the rate limit")
    if api.seconds_waited:
        said.append(f"{duration(api.seconds_waited)} waited")
    bars = "The bars show Apollo's limits after the last request of each."
    return " ".join(filter(None, [f"{', '.join(said)}.", outlook_of(summary), bars]))


def _section(
    name: str, heading: str, hint: str, body: Child | Iterable[Child], class_: str = ""
) -> Element:
    attributes = {"class_": class_} if class_ else {}
    return tag(
        "section",
        tag("h2", heading, id=f"h-{name}"),
        tag("p", hint, class_="hint") if hint else None,
        body,
        aria_labelledby=f"h-{name}",
        **attributes,
    )


def _half(name: str, heading: str, hint: str, body: Sequence[Element]) -> Element:
    return _section(name, heading, hint, body, "half")


def _long(at: datetime) -> str:
    utc = at.astimezone(timezone.utc)
    return f"{utc.day} {utc:%B %Y}, {utc:%H:%M} UTC"
