"""The tables of docs/reference/values.md hold for the code."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from target_apollo.apollo import CustomField
from target_apollo.model import values
from target_apollo.model.custom_values import normaliser_of
from target_apollo.model.outcomes import Reason, RecordError
from target_apollo.model.texts import domains, emails
from target_apollo.model.texts.placeholders import WORDS

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "values.md").read_text(encoding="utf-8")

_ROW = re.compile(r"\| ([a-z-]+) \| `(.+)` \| (?:`(.+)`|(null)|rejected: (.+)) \|")
ROWS = _ROW.findall(PAGE)


def _custom(kind: str) -> Callable[[str, object], object]:
    return normaliser_of(CustomField("5" * 24, "Tier", "contact", kind))


READERS: dict[str, Callable[[str, object], object]] = {
    "text": values.text,
    "phone": values.phone,
    "url": values.url,
    "domain": domains.domain,
    "e-mail": emails.email,
    "number": _custom("number"),
    "boolean": _custom("boolean"),
    "date": _custom("date"),
    "time": _custom("datetime"),
    "lists": lambda name, value: list(values.names(name, value)),
}


def test_the_table_has_a_row_for_each_kind_of_field() -> None:
    assert {row[0] for row in ROWS} == set(READERS)


@pytest.mark.parametrize(("kind", "written", "read", "nothing", "why"), ROWS)
def test_a_value_is_read_as_the_table_says(
    kind: str, written: str, read: str, nothing: str, why: str
) -> None:
    value = json.loads(written)
    if why:
        with pytest.raises(RecordError) as refused:
            READERS[kind]("amount", value)
        assert refused.value.rejection.reason is Reason.WRONG_TYPE
        assert why in refused.value.rejection.detail
        assert str(value) not in refused.value.rejection.detail
    else:
        assert READERS[kind]("amount", value) == (None if nothing else json.loads(read))


def test_the_page_lists_the_words_for_nothing() -> None:
    told = PAGE[PAGE.index("These words") : PAGE.index("| property |")]
    assert {word.lower() for word in re.findall(r"`(.+?)`", told)} == WORDS
