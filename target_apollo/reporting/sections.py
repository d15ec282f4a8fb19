"""The page's lists: rejects, requests, protected values, duplicates, differences, fields. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element  # nosec B405

from target_apollo.reporting.bars import bar
from target_apollo.reporting.cards import Field, card_table
from target_apollo.reporting.detail import Detail, ProtectedRow, RejectRow, RequestRow
from target_apollo.reporting.glossary import duplicate_words, reason_words
from target_apollo.reporting.html import tag
from target_apollo.reporting.past_runs import OUTCOMES
from target_apollo.reporting.summaries import Difference, Duplicate, Window, Windows
from target_apollo.reporting.words import (
    number,
    plural,
    printable,
)

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
