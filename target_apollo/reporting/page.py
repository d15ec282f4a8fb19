"""The report as one page: no script, nothing from the network, every text escaped. Pure.

Its policy lets nothing in but its own style sheet, whose hash it names.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from xml.etree.ElementTree import Element  # nosec B405

from target_apollo.reporting import sections
from target_apollo.reporting.chart import outcomes_over_time
from target_apollo.reporting.detail import Detail
from target_apollo.reporting.html import Child, document, tag
from target_apollo.reporting.past_runs import OPEN, RECEIVED, PastRun
from target_apollo.reporting.styles import STYLE
from target_apollo.reporting.way import heading_of, hint_of, way_into_apollo
from target_apollo.reporting.words import (
    amount,
    duration,
    end_of,
    number,
    outlook_of,
    plural,
    printable,
    story_of,
)


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
        parts.append(_section("rejects", heading, hint, sections.rejects(detail.rejects)))
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
        parts.append(_section("streams", "By stream", "", sections.streams(detail)))
    if detail.requests:
        parts.append(
            _section(
                "requests", "Requests", _requests_hint(detail), sections.requests(detail.requests)
            )
        )
    if detail.protected:
        total = sum(row.number for row in detail.protected)
        hint = "What your field policy leaves to people in Apollo was not written over."
        body = sections.protected(detail.protected)
        parts.append(_half("protected", f"Protected {plural(total, 'value')}", hint, body))
    if detail.duplicates.found:
        found = detail.duplicates
        heading = plural(found.found, "group of duplicates", "groups of duplicates")
        hint = "Rows by their keys. Merge them at their source."
        body = [sections.duplicates(found.listed, found.found)]
        parts.append(_half("duplicates", heading, hint, body))
    if detail.deleted:
        hint = "Apollo deletes nothing by API: these were moved to a stage or list instead."
        body = [sections.deleted(detail.deleted)]
        parts.append(_half("deleted", "Deleted at the source", hint, body))
    if detail.not_placed or detail.not_writable:
        hint = "They were left out; the rest of their rows was written."
        body = [sections.not_written(detail)]
        parts.append(_half("fields", "Fields that were not written", hint, body))
    if summary and summary.diffs:
        hint = "Samples of what a run without dry_run would change."
        heading = plural(len(summary.diffs), "sample difference")
        parts.append(_section("differences", heading, hint, sections.differences(summary.diffs)))
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
