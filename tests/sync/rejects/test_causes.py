"""Why records were rejected is told by column and sentence, and never by a value of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_apollo.sync.rejects.causes import MOST_CAUSES, Cause, CauseCounts, cause_of

COLUMNS = ("id", "email", "due_at")


def told(detail: object, record: dict[str, Any] | None = None, **reject: Any) -> Cause:
    return cause_of({"detail": detail, "reason": "x", **reject}, record or {}, COLUMNS)


def test_the_column_is_the_one_that_the_detail_quotes() -> None:
    cause = told("'due_at' must be a date (YYYY-MM-DD), not a number")
    assert cause.column == "due_at"
    assert cause.sentence == "'due_at' must be a date (YYYY-MM-DD), not a number"


def test_what_is_quoted_and_no_column_is_none() -> None:
    assert told("the sequence is not in the setting 'allow_sequences'").column == ""


def test_a_column_that_the_schema_lacks_is_found_in_the_record() -> None:
    assert told("'Lead Score' must be a number", {"Lead Score": "many"}).column == "Lead Score"


def test_a_reason_that_is_about_one_column_names_it() -> None:
    assert told("nothing stands there", reason="missing_email").column == "email"


def test_apollos_words_are_left_out_since_they_can_quote_the_row() -> None:
    cause = told("look at the values. Apollo's words: ann@x.example is taken")
    assert cause.sentence == "look at the values"


def test_ids_that_differ_in_each_row_make_no_difference() -> None:
    one, other = (told(f"Apollo stored deal {sign * 24} without it") for sign in "ab")
    assert one == other == Cause("", "Apollo stored deal … without it")


def test_the_status_and_the_endpoint_of_a_refusal_are_told() -> None:
    cause = told("look", status=422, endpoint="POST /contacts/bulk_create")
    assert cause.answer == "status 422 of POST /contacts/bulk_create"


@pytest.mark.parametrize(
    ("detail", "record"),
    [
        ("'email' is ann@x.example", {"email": "ann@x.example"}),
        ("'email' is Ann%40x.example", {}),
        ("no user of the name 'Ann Example'", {"owner": "Ann Example"}),
        ("no stage of the name 'hopeful'", {"stage": "hopeful"}),
        ("the number 4711.5 is too large", {"amount": 4711.5}),
        ("the answer names Ünal", {"person": {"names": ["Ünal"]}}),
    ],
)
def test_a_value_of_the_row_is_taken_out(detail: str, record: dict[str, Any]) -> None:
    sentence = told(detail, record).sentence
    assert "…" in sentence
    for secret in ("ann", "Ann", "hopeful", "4711", "Ünal"):
        assert secret not in sentence.replace("answer", "").replace("names", "")


@given(st.text(min_size=4, max_size=30), st.text(max_size=30))
def test_no_quoted_value_gets_through(value: str, words: str) -> None:
    value = value.strip()
    if len(value) < 4 or value in COLUMNS:
        return
    sentence = told(f"it has '{value}'", {"name": value, "other": words}).sentence
    assert value not in sentence


def test_a_detail_that_is_none_has_no_sentence() -> None:
    for detail in (None, 3, {}, ""):
        assert told(detail) == Cause("", "")


def test_the_summary_has_causes_by_stream_and_reason_those_of_most_records_first() -> None:
    counts = CauseCounts()
    for column in ("a", "b", "b"):
        counts.add("contacts", "wrong_type", Cause(column, "must be text"))
    assert counts.as_json() == {
        "contacts": {
            "wrong_type": [
                {"column": "b", "sentence": "must be text", "answer": "", "number": 2},
                {"column": "a", "sentence": "must be text", "answer": "", "number": 1},
            ]
        }
    }


def test_no_more_causes_are_told_apart_than_a_summary_bears() -> None:
    counts = CauseCounts()
    for number in range(1000):
        counts.add("contacts", "wrong_type", Cause(f"c{number}", "must be text"))
    assert len(counts.as_json()["contacts"]["wrong_type"]) == MOST_CAUSES


def test_blanks_in_a_row_change_no_sentence() -> None:
    assert told("it is missing", {"a": "     ", "b": "  is  "}).sentence == "it is missing"
