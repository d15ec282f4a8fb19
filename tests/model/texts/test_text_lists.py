"""Arrays that are written as text, in the notation of JSON, PostgreSQL and Python."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_apollo.model.texts.text_lists import read_list

texts = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=4)


def _postgresql(entries: list[str]) -> str:
    escaped = [entry.replace("\\", "\\\\").replace('"', '\\"') for entry in entries]
    return "{" + ",".join(f'"{entry}"' for entry in escaped) + "}"


@pytest.mark.parametrize("write", [json.dumps, _postgresql, repr])
@given(entries=texts)
def test_an_array_is_read_back(write: object, entries: list[str]) -> None:
    assert callable(write)
    assert read_list(write(entries)) == entries


@pytest.mark.parametrize(
    ("written", "entries"),
    [('{A,NULL,"NULL"}', ["A", None, "NULL"]), ("{}", []), ("[]", []), ("{A B, C}", ["A B", "C"])],
)
def test_what_postgresql_writes_is_read(written: str, entries: list[object]) -> None:
    assert read_list(written) == entries


@pytest.mark.parametrize("written", ["VIP", "[VIP]", "[Sales] Leads", "A, B", "{", ""])
def test_a_name_is_no_array(written: str) -> None:
    assert read_list(written) is None


@pytest.mark.parametrize("written", ["[A, B]", '["A"', '["A]', "{A}}", '{"A}', "{{A},{B}}"])
def test_half_an_array_is_refused_or_a_name(written: str) -> None:
    if written[-1] not in "]}":
        assert read_list(written) is None
        return
    with pytest.raises(ValueError, match="an array in b"):
        read_list(written)


@given(st.text(max_size=20) | st.text("[]{}\",\\ab'", max_size=12))
def test_any_text_is_a_list_or_none_or_refused(written: str) -> None:
    with suppress(ValueError):
        found = read_list(written)
        assert found is None or isinstance(found, list)
