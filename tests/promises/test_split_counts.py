"""Counts are whole and never negative, however stream maps split and filter the records.

``received`` and ``split`` are together the sum of all outcomes and of the rows without one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from target_apollo.model.outcomes import Outcome
from target_apollo.sandbox import Fault, FaultKind, Sandbox
from tests.promises.conftest import CONTACT_SCHEMA, TargetRun, schema, state

Run = Callable[..., TargetRun]
Message = dict[str, Any]
PEOPLE: Message = {
    "properties": {
        **CONTACT_SCHEMA["properties"],
        "domain": {"type": ["null", "string"]},
        "company": {"type": ["null", "string"]},
    }
}
COMPANIES = {
    "__source__": "people", "id": "id", "domain": "domain", "name": "company", "__else__": None,
}  # fmt: skip
SPLIT = {"people": {"__alias__": "contacts"}, "companies": COMPANIES}
STREAMS = {"companies": {"object": "accounts"}, "others": {"object": "contacts"}}


def person(number: int, **values: object) -> Message:
    record = {
        "id": number, "email": f"p{number}@a.com", "domain": f"co{number}.com",
        "company": f"Co {number}", **values,
    }  # fmt: skip
    return {"type": "RECORD", "stream": "people", "record": record}


def check_whole(done: TargetRun) -> None:
    records = done.summary["records"]
    of_streams = done.summary["streams"].values()
    outcomes = {outcome.value: records[outcome.value] for outcome in Outcome}
    assert min(records.values()) >= 0, records
    assert (
        records["received"] + records["split"]
        == sum(outcomes.values()) + (records["without_outcome"])
    )
    for name, count in outcomes.items():
        assert count == sum(stream[name] for stream in of_streams)


def test_a_table_split_into_contacts_and_accounts_counts_each_row_of_both(
    apollo: Sandbox, sync: Run
) -> None:
    rows = [person(number) for number in range(5)]

    done = sync([schema("people", PEOPLE), *rows, state({"n": 5})],
                stream_maps=SPLIT, streams=STREAMS)  # fmt: skip

    assert done.records == {"received": 5, "split": 5, "created": 10}, done.log
    assert "received 5, split into 10 rows: created 10" in done.log
    assert "-5" not in done.log
    check_whole(done)
    assert (len(apollo.store.contacts()), len(apollo.store.accounts())) == (5, 5)


def test_a_row_that_only_one_of_its_streams_rejects_has_an_outcome_in_each(
    apollo: Sandbox, sync: Run
) -> None:
    rows = [person(1), person(2, domain="no domain"), person(3, email="nobody")]

    done = sync([schema("people", PEOPLE), *rows], stream_maps=SPLIT, streams=STREAMS)

    assert done.records == {"received": 3, "split": 3, "created": 4, "rejected": 2}, done.log
    check_whole(done)


def test_a_run_that_ends_early_leaves_no_count_below_zero(apollo: Sandbox, sync: Run) -> None:
    apollo.inject(
        Fault("POST /contacts/bulk_create", FaultKind.ERROR_BEFORE_WRITE, status=401, times=None)
    )
    rows = [person(number) for number in range(5)]

    done = sync([schema("people", PEOPLE), *rows], stream_maps=SPLIT, streams=STREAMS)

    assert done.exit_code != 0
    assert done.records["without_outcome"] == 10 - done.records.get("created", 0)
    check_whole(done)


@st.composite
def _maps(draw: st.DrawFn) -> Message:
    maps: Message = {"people": draw(st.sampled_from([{"__alias__": "contacts"}, None]))}
    for name, map_ in (
        ("companies", COMPANIES),
        ("others", {"__source__": "people", "id": "id", "email": "'o' + email", "__else__": None}),
    ):
        if draw(st.booleans()):
            found = dict(map_)
            if draw(st.booleans()):
                found["__filter__"] = f"id % {draw(st.integers(2, 3))} == 0"
            if draw(st.booleans()):
                found["title"] = "int(title)"
            maps[name] = found
    return maps


@settings(
    deadline=None,
    max_examples=6,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    maps=_maps(),
    titles=st.lists(st.sampled_from(["7", "CEO", None]), max_size=6),
    limit=st.none() | st.integers(1, 4),
)
def test_received_and_split_are_the_sum_of_all_outcomes(
    apollo: Sandbox, sync: Run, maps: Message, titles: list[str | None], limit: int | None
) -> None:
    rows = [person(number, title=title) for number, title in enumerate(titles)]

    done = sync([schema("people", PEOPLE), *rows], stream_maps=maps, streams=STREAMS,
                max_records=limit)  # fmt: skip

    check_whole(done)
    assert done.summary["records"]["without_outcome"] == 0
