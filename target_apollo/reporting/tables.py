"""The tables of the HTML report as rows of cells, which `page.html.j2` renders. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from target_apollo.reporting.detail import Detail, RequestRow, WaitingRow
from target_apollo.reporting.past_runs import OPEN, OUTCOMES, RECEIVED, PastRun
from target_apollo.reporting.summaries import Difference, Window, Windows
from target_apollo.reporting.words import amount, end_of
from target_apollo.sync.words import duration, moment, number

_LONGEST_VALUE = 200
#: Percent of a window in use from which its bar is a warning.
_NEAR = 80


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        class_: CSS classes.
        label: Name of the column, shown on a narrow screen, where the row becomes a card.
        parts: Parts of a bar in front of the text: CSS class and count of each.
        of: The count that fills the whole bar; 0 for no bar.
        code: Whether the text is monospaced.
    """

    text: str
    class_: str = ""
    label: str = ""
    parts: Sequence[tuple[str, int]] = ()
    of: int = 0
    code: bool = False


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        code: The subject of the row, such as a run's id or an endpoint, monospaced.
        text: Text after `code`.
        begun: When the run began, if the row is about a run.
    """

    code: str
    cells: Sequence[Cell]
    text: str = ""
    begun: datetime | None = None
    class_: str = ""


@dataclass(frozen=True)
class Table:
    """A table with the name of each column.

    Attributes:
        numbers: The columns that hold numbers, counted from 0.
    """

    heads: Sequence[str]
    rows: Sequence[Row]
    numbers: range = range(0)


def runs_table(runs: Sequence[PastRun], chosen: PastRun) -> Table:
    """The last runs with their counts.

    Args:
        chosen: The run that the page is about; its row is marked.
    """
    counts = [name for name in (*OUTCOMES, OPEN) if any(run.count(name) for run in runs)]
    heads = ["begun (UTC)", "end", "took", "read"]
    heads += ["left" if name == OPEN else name for name in counts] + ["requests"]
    rows = []
    for run in runs:
        end = end_of(run)
        words = end.words + (" (dry run: nothing written)" if run.dry else "")
        cells = [
            Cell(words, end.tone.value),
            _number("took", duration(run.seconds), known=run.seconds is not None),
            _number("read", amount(run, RECEIVED), known=bool(run.counts)),
        ]
        for name in counts:
            label = "left" if name == OPEN else name
            cells.append(_number(label, amount(run, name), known=bool(run.count(name))))
        cells.append(_number("requests", number(run.requests), known=run.requests is not None))
        mark = "now-row" if run.run_id == chosen.run_id else ""
        rows.append(Row(run.run_id, cells, begun=run.started_at, class_=mark))
    return Table(heads, rows, range(2, len(heads)))


def _number(label: str, shown: str, *, known: bool) -> Cell:
    return Cell(shown, "n" if known else "n zero", label)


def streams_table(detail: Detail) -> Table:
    """Outcomes of each stream; an outcome that no record has is left out."""
    met = [
        outcome
        for outcome in OUTCOMES
        if any(getattr(stream, outcome) for stream in detail.streams.values())
    ]
    rows = [
        Row(
            name,
            [
                _number(outcome, number(count), known=bool(count))
                for outcome in met
                for count in [getattr(stream, outcome)]
            ],
        )
        for name, stream in detail.streams.items()
    ]
    return Table(["stream", *met], rows, range(1, 1 + len(met)))


def waiting_table(rows: Sequence[WaitingRow]) -> Table:
    """Values that are still to be sent, with the age of the oldest."""
    table_rows = [
        Row(
            row.stream,
            [
                Cell(row.field, "wide", code=True),
                Cell(number(row.values), "n", "values"),
                Cell(f"{moment(row.since)} UTC", "", "oldest since"),
                Cell(duration(row.seconds), "n", "age"),
            ],
        )
        for row in rows
    ]
    return Table(["stream", "field", "values", "oldest since", "age"], table_rows, range(2, 3))


def requests_table(rows: Sequence[RequestRow]) -> Table:
    """Requests per endpoint, and how much of each of Apollo's windows is used."""
    is_estimated = any(row.estimated is not None for row in rows)
    heads = ["endpoint", "sent", *(["estimated"] if is_estimated else []), "minute", "hour", "day"]
    table_rows = []
    for row in rows:
        cells = [Cell(number(row.sent), "n", "sent")]
        if is_estimated:
            known = row.estimated is not None
            cells.append(_number("estimated", number(row.estimated), known=known))
        windows = row.windows or Windows()
        cells += [_window(getattr(windows, name), name) for name in ("minute", "hour", "day")]
        table_rows.append(Row(row.endpoint, cells))
    return Table(heads, table_rows, range(1, 3 if is_estimated else 2))


def _window(window: Window, name: str) -> Cell:
    limit, used = window.limit, _used(window)
    if limit is None or used is None:
        return Cell("not told", "zero")
    percent = 100 * used / limit if limit else 100
    tone = "full" if percent >= 100 else "near" if percent >= _NEAR else "mark"
    left = max(0, limit - used)
    text = f"{number(used)} of {number(limit)}, {number(left)} left"
    return Cell(text, f"share {name}", name, [(tone, used)], max(limit, 1))


def _used(window: Window) -> int | None:
    of_left = None
    if window.limit is not None and window.left is not None:
        of_left = window.limit - window.left
    return max((count for count in (window.usage, of_left) if count is not None), default=None)


def differences_table(found: Sequence[Difference]) -> Table:
    """The fields that a real run would change."""
    rows = [
        Row(
            one.stream,
            [
                Cell(one.field, "wide", code=True),
                Cell(_value(one.apollo), "wide old", "in Apollo:"),
                Cell(_value(one.new), "wide", "new:"),
            ],
            text=one.key or " ",
        )
        for one in found
    ]
    return Table(["record", "field", "in Apollo", "new"], rows)


def _value(value: object) -> str:
    if value is None or value == "":
        return "(empty)"
    text = str(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"
