"""STATE never passes the oldest held lead, in each shape in which taps write bookmarks."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from target_apollo.mapper.errors import SettingsError
from target_apollo.mapper.held_state import HeldState, StateHandling

EARLY, HELD, LATE = "2026-11-20T08:00:00Z", "2026-11-20T10:00:00Z", "2026-11-20T11:00:00Z"


def hold(*held: object, key: str | None = "updated_at", seen: object = HELD) -> HeldState:
    holding = HeldState("leads", "set rules.settled to false")
    holding.announce([key] if key else [])
    holding.check_value(seen)
    for value in held:
        holding.hold(value)
    return holding


def sdk(value: object, **more: object) -> dict[str, Any]:
    return {"replication_key": "updated_at", "replication_key_value": value, **more}


def after(holding: HeldState, entry: Any, handling: StateHandling = StateHandling.SET_BACK) -> Any:
    value = {"bookmarks": {"leads": entry, "contacts": sdk(LATE)}}
    assert holding.set_back(value) is handling
    assert value["bookmarks"]["contacts"] == sdk(LATE)
    return value["bookmarks"]["leads"]


def test_a_bookmark_in_the_sdk_s_shape_goes_back_to_the_held_lead() -> None:
    assert after(hold(HELD), sdk(LATE)) == sdk(HELD)


def test_the_oldest_of_several_held_leads_counts() -> None:
    assert after(hold(LATE, EARLY, HELD), sdk(LATE)) == sdk(EARLY)


def test_a_bookmark_before_the_held_lead_stays() -> None:
    assert after(hold(HELD), sdk(EARLY), StateHandling.AS_IT_IS) == sdk(EARLY)


def test_without_a_held_lead_state_stays() -> None:
    assert after(hold(), sdk(LATE), StateHandling.AS_IT_IS) == sdk(LATE)


def test_a_bookmark_in_singer_python_s_shape_goes_back() -> None:
    assert after(hold(HELD), {"updated_at": LATE, "version": 1}) == {
        "updated_at": HELD,
        "version": 1,
    }


def test_a_bare_bookmark_goes_back() -> None:
    assert after(hold(HELD), LATE) == HELD


def test_a_state_without_bookmarks_around_the_streams_goes_back() -> None:
    value = {"leads": {"updated_at": LATE}, "currently_syncing": "leads"}
    assert hold(HELD).set_back(value) is StateHandling.SET_BACK
    assert value["leads"] == {"updated_at": HELD}


def test_each_partition_goes_back() -> None:
    entry = {
        "partitions": [
            {"context": {"region": "eu"}, **sdk(LATE)},
            {"context": {"region": "us"}, **sdk(EARLY)},
            {"context": {"region": "asia"}, "progress_markers": sdk(LATE)},
        ]
    }
    assert after(hold(HELD), entry) == {
        "partitions": [
            {"context": {"region": "eu"}, **sdk(HELD)},
            {"context": {"region": "us"}, **sdk(EARLY)},
            {"context": {"region": "asia"}, "progress_markers": sdk(HELD)},
        ]
    }


def test_the_progress_of_an_unsorted_stream_goes_back() -> None:
    entry = sdk(EARLY, progress_markers={"Note": "…", **sdk(LATE)})
    assert after(hold(HELD), entry) == sdk(EARLY, progress_markers={"Note": "…", **sdk(HELD)})


def test_an_offset_within_a_page_goes_when_a_lead_is_held() -> None:
    entry = {"updated_at": EARLY, "offset": {"page": 3}}
    assert after(hold(HELD), entry) == {"updated_at": EARLY}


@pytest.mark.parametrize(
    ("held", "bookmark"),
    [
        (41, 42),
        (Decimal("41.5"), 42),
        ("41", "142"),
        ("2026-11-19", "2026-11-20"),
        ("2026-11-20", "2026-11-20T00:00:01"),
        ("2026-11-20T10:00:00+02:00", "2026-11-20T09:00:00Z"),
        ("2026-11-20 10:00:00", "2026-11-20T10:00:00.000001+00:00"),
    ],
)
def test_numbers_dates_and_timestamps_are_compared_as_such(held: object, bookmark: object) -> None:
    assert after(hold(held, seen=held), sdk(bookmark)) == sdk(held)


def test_a_held_lead_without_replication_value_takes_the_bookmark_away() -> None:
    assert after(hold(HELD, None), sdk(LATE)) == {"replication_key": "updated_at"}


def test_a_state_without_the_stream_s_bookmark_is_withheld_while_a_lead_is_held() -> None:
    value = {"bookmarks": {"contacts": sdk(LATE)}}
    assert hold(HELD).set_back(value) is StateHandling.WITHHELD
    assert hold().set_back(value) is StateHandling.AS_IT_IS
    assert hold(HELD).set_back({"bookmarks": {}}) is StateHandling.AS_IT_IS


def test_a_bookmark_under_schema_and_table_belongs_to_the_table_s_stream() -> None:
    value = {"bookmarks": {"crm-leads": sdk(LATE)}}
    assert hold(HELD).set_back(value) is StateHandling.SET_BACK
    assert value["bookmarks"]["crm-leads"] == sdk(HELD)


def test_a_full_table_stream_is_read_again_anyway() -> None:
    for entry in ({}, {"version": 7, "last_replication_method": "FULL_TABLE"}):
        assert after(hold(HELD, key=None), dict(entry), StateHandling.AS_IT_IS) == entry


@pytest.mark.parametrize("key", ["_sdc_lsn", "lsn"])
def test_log_based_replication_is_refused_at_the_schema(key: str) -> None:
    with pytest.raises(SettingsError, match=r"log.*or set rules.settled to false"):
        hold(key=key)


@pytest.mark.parametrize(
    "entry",
    [
        {"lsn": 123, "last_replication_method": "LOG_BASED"},
        {"log_file": "mysql-bin.1", "log_pos": 4},
        {"last_pk_fetched": {"id": 5}, "max_pk_values": {"id": 9}},
        {"xmin": 77, "version": 1},
        {"since": LATE},
        sdk("page two"),
        sdk(1700000000),
        {"partitions": [{"context": {}, "lsn": 9}]},
    ],
)
def test_a_bookmark_that_can_not_be_set_back_is_refused_before_a_lead_is_held(entry: Any) -> None:
    with pytest.raises(SettingsError, match=r"^Stream 'leads' can't hold leads back"):
        hold().set_back({"bookmarks": {"leads": entry}})


def test_a_bookmark_without_a_replication_key_in_the_schema_is_refused() -> None:
    with pytest.raises(SettingsError, match="its SCHEMA names no replication key"):
        hold(key=None).set_back({"bookmarks": {"leads": sdk(LATE)}})


def test_a_replication_key_of_words_is_refused_at_the_first_record() -> None:
    with pytest.raises(SettingsError, match="neither a number nor an ISO date"):
        hold(seen="a17")


def test_several_replication_keys_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"several replication keys \(updated_at, id\)"):
        HeldState("leads", "x").announce(["updated_at", "id"])
