"""The report as one HTML page: no script, no network access, every text escaped.

`page.html.j2` is its template and `page.css` its style sheet. The page's content security policy
allows this style sheet only, by its hash.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import datetime, timezone
from functools import cache
from importlib import resources

from jinja2 import Environment, StrictUndefined, Template

from target_apollo.reporting.chart import bar_parts, outcomes_over_time, steps_into_apollo
from target_apollo.reporting.detail import Detail
from target_apollo.reporting.past_runs import OPEN, RECEIVED, PastRun
from target_apollo.reporting.tables import (
    differences_table,
    requests_table,
    runs_table,
    streams_table,
    waiting_table,
)
from target_apollo.reporting.words import (
    amount,
    duplicate_words,
    end_of,
    estimate_in_words,
    not_kept,
    reason_words,
    remedy_words,
    rule_words,
    run_in_words,
)
from target_apollo.sync.words import duration, moment, number, plural
from target_apollo.system.shown import printable

#: Keys, names of fields, and groups of duplicates that are listed; the rest is counted.
_MOST_KEYS, _MOST_GROUPS = 50, 50
#: Causes of one reason, and streams that can be chosen.
_MOST_CAUSES, _MOST_STREAMS = 10, 30


def page(runs: Sequence[PastRun], detail: Detail, now: datetime) -> str:
    """Renders the HTML file.

    Args:
        runs: The runs for the chart, the newest first.
        detail: The run that the page is about.
        now: The time that the page shows as its own, with a time zone.
    """
    run, summary = detail.run, detail.summary
    style = _file("page.css") + _stream_filters(len(detail.reject_streams))
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return _template().render(
        style=style,
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; "
        "form-action 'none'",
        run=run,
        detail=detail,
        now=now,
        runs=runs,
        end=end_of(run),
        story=run_in_words(run),
        facts=" · ".join(_facts(detail)),
        tiles=_tiles(run),
        received=amount(run, RECEIVED),
        steps_section=steps_into_apollo(detail),
        chart=outcomes_over_time(runs, run),
        runs_table=runs_table(runs, run),
        streams_table=streams_table(detail),
        requests_hint=_requests_hint(detail),
        requests_table=requests_table(detail.requests),
        differences_table=differences_table(summary.diffs) if summary and summary.diffs else None,
        waiting_table=waiting_table(detail.waiting) if detail.waiting else None,
        most_keys=_MOST_KEYS,
        most_causes=_MOST_CAUSES,
        most_streams=_MOST_STREAMS,
        most_groups=_MOST_GROUPS,
    )


def _stream_filters(streams: int) -> str:
    """Style rules by which a chosen stream hides the rejected records of the others."""
    return "\n".join(
        f'section:has(#stream-{number}:checked) .of-stream:not([data-of="{number}"]) '
        "{ display: none; }"
        for number in range(1, min(streams, _MOST_STREAMS) + 1)
        if streams > 1
    )


def _file(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "number": number,
        "plural": plural,
        "moment": moment,
        "long": _long,
        "reason_words": reason_words,
        "remedy_words": remedy_words,
        "not_kept": not_kept,
        "rule_words": rule_words,
        "duplicate_words": duplicate_words,
    }
    environment.globals["bar_parts"] = bar_parts
    return environment.from_string(_file("page.html.j2"))


#: In characters, of one text of the page.
_LONGEST_TEXT = 2000


def _printable(value: object) -> object:
    """A text without control characters; markup from the template is not changed."""
    is_markup = hasattr(value, "__html__")
    return printable(value[:_LONGEST_TEXT]) if isinstance(value, str) and not is_markup else value


def _facts(detail: Detail) -> list[str]:
    run = detail.run
    facts = [f"Run {run.run_id}"]
    facts += [f"mode {run.mode}"] if run.mode else []
    facts += [f"team {run.team}"] if run.team else []
    facts += ["no summary: only the ledger's counts are known"] if detail.summary is None else []
    facts += ["not in the ledger"] if not run.in_ledger else []
    return facts


def _tiles(run: PastRun) -> list[tuple[str, str, str]]:
    """CSS class, count and words of each tile."""
    same = (run.count("unchanged") or 0) + (run.count("existing") or 0)
    tiles = [
        ("created", amount(run, "created"), "to create" if run.dry else "created in Apollo"),
        ("updated", amount(run, "updated"), "to update" if run.dry else "updated in Apollo"),
        ("unchanged", number(same), "needed no change"),
        ("rejected", amount(run, "rejected"), "could not be written"),
    ]
    if run.count(OPEN):
        tiles.append(("open", amount(run, OPEN), "left for the next run"))
    return tiles


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
    return " ".join(filter(None, [f"{', '.join(said)}.", estimate_in_words(summary), bars]))


def _long(at: datetime) -> str:
    utc = at.astimezone(timezone.utc)
    return f"{utc.day} {utc:%B %Y}, {utc:%H:%M} UTC"
