"""NaN, Infinity and numbers beyond all range, as some taps write them, cost no line and no row."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from target_apollo.sandbox import Sandbox
from tests.promises.conftest import CONTACT_SCHEMA, TargetRun, contact, record, schema, state

Run = Callable[..., TargetRun]
Message = dict[str, Any]
WITH_SCORE: Message = {
    "properties": {**CONTACT_SCHEMA["properties"], "score": {"type": ["null", "number"]}}
}


def test_a_column_with_nan_costs_no_row(apollo: Sandbox, sync: Run) -> None:
    odd = [math.nan, math.inf, -math.inf]
    rows = [contact(n, title=f"T{n}", score=value) for n, value in enumerate(odd)]

    done = sync([schema("contacts", WITH_SCORE), *rows, contact(9), state({"n": 9})])

    assert done.exit_code == 0, done.log
    assert done.reasons == []
    assert {one["title"] for one in apollo.store.contacts()} == {"T0", "T1", "T2", None}
    assert done.last_state == {"n": 9}


@pytest.mark.parametrize("number", ["NaN", "1e99999999999", "9" * 5000])
def test_a_text_that_should_be_there_is_as_if_it_were_null(
    apollo: Sandbox, sync: Run, number: str
) -> None:
    line = json.dumps(contact(1, title="TITLE")).replace('"TITLE"', number)

    done = sync([schema("contacts"), line])

    assert done.exit_code == 0, done.log
    assert [(one["email"], one["title"]) for one in apollo.store.contacts()] == [("p1@a.com", None)]


def test_a_key_that_is_nan_is_rejected_with_its_name_and_can_be_replayed(
    apollo: Sandbox, sync: Run
) -> None:
    loose = {"properties": {**CONTACT_SCHEMA["properties"], "id": {}}}
    keyless = record("contacts", id=math.nan, email="nobody@a.com", title="CEO")

    done = sync([schema("contacts", loose), keyless, contact(2), state({"n": 2})],
                      max_rejected_percent=100)  # fmt: skip

    assert done.exit_code == 0, done.log
    assert done.reasons == ["missing_key_property"]
    rejected = done.rejects[0]
    assert rejected["stream"] == "contacts"
    assert "'id'" in rejected["record"]["_reject"]["detail"]
    mended = rejected["record"] | {"id": 1}
    again = sync([schema("contacts", loose), rejected | {"record": mended}])
    assert again.records["created"] == 1, again.log
    assert {one["email"] for one in apollo.store.contacts()} == {"nobody@a.com", "p2@a.com"}


def test_half_of_a_surrogate_pair_costs_no_line(apollo: Sandbox, sync: Run) -> None:
    line = json.dumps(contact(1, title="VP @")).replace("@", "\\ud800", 2).replace(
        "p1\\ud800", "p1@"
    )  # fmt: skip

    done = sync([schema("contacts"), line])

    assert done.exit_code == 0, done.log
    assert [one["title"] for one in apollo.store.contacts()] == ["VP \ufffd"]
