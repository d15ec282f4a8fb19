"""`apollo_sync_results`: all links of the ledger at first, then those that changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest

from target_apollo.ledger import Intent, Ledger, LinkOutcome, LinkStatus, Place, results, source_key
from target_apollo.ledger.values import number_of_moment
from tests.helpers.loading import Loaded
from tests.tap.conftest import TEAM, created, save

Load = Callable[..., Loaded]
Sql = Callable[[str], list[tuple[object, ...]]]


def age(run_sql: Sql, minutes: int, *keys: str) -> None:
    """Makes links of the ledger as old as if they had been written some minutes ago."""
    moment = number_of_moment(datetime.now(timezone.utc) - timedelta(minutes=minutes))
    change(run_sql, f"changed_at = {moment}", *keys)


def change(run_sql: Sql, change: str, *keys: str) -> None:
    """Changes the links of some keys, or all links."""
    binary = "BLOB" if run_sql("SELECT 1 WHERE 'a' LIKE 'A'") else "BYTEA"
    some = ", ".join(f"CAST('{key}' AS {binary})" for key in keys)
    run_sql(
        f"UPDATE apollo_row_links SET {change}" + (f" WHERE source_key IN ({some})" if keys else "")
    )


def test_each_link_is_a_record_with_its_outcome(ledger: Ledger, load: Load) -> None:
    began = datetime.now(timezone.utc)
    save(
        ledger,
        LinkOutcome("1", LinkStatus.CREATED, apollo_id="a" * 24, payload_hash="0" * 32),
        LinkOutcome("2", LinkStatus.UPDATED, apollo_id="b" * 24, payload_hash="0" * 32),
        LinkOutcome("3", LinkStatus.UNCHANGED, apollo_id="c" * 24, payload_hash="0" * 32),
        LinkOutcome("4", LinkStatus.EXISTING, apollo_id="d" * 24),
        LinkOutcome("5", LinkStatus.ERROR, error="unknown_name"),
    )
    ledger.record_intents(
        Place(TEAM, "contact", "crm-contacts"), "run-1", [Intent("6"), Intent("7")]
    )

    results = load(Loaded()).results

    assert {key: record["outcome"] for key, record in results.items()} == {
        "1": "created", "2": "updated", "3": "unchanged", "4": "existing", "5": "rejected",
        "6": "pending", "7": "pending",
    }  # fmt: skip
    assert {key for key, record in results.items() if record["reason"]} == {"5"}
    first, rejected = results["1"], results["5"]
    assert {name: first[name] for name in ("connection", "object", "stream", "run_id")} == {
        "connection": TEAM, "object": "contact", "stream": "crm-contacts", "run_id": "run-1",
    }  # fmt: skip
    assert first["apollo_id"] == "a" * 24
    for name in ("first_synced_at", "last_synced_at", "changed_at"):
        assert began <= datetime.fromisoformat(first[name]) <= datetime.now(timezone.utc)
    assert rejected["reason"] == "unknown_name"
    assert rejected["apollo_id"] is rejected["last_synced_at"] is None


def test_the_second_run_gives_what_changed_since(ledger: Ledger, load: Load, run_sql: Sql) -> None:
    save(ledger, *(created(str(number)) for number in range(20)))
    age(run_sql, minutes=60)
    loaded = load(Loaded())
    assert len(loaded.given) == 20

    save(ledger, created("7"), LinkOutcome("8", LinkStatus.ERROR, error="gone_from_apollo"))
    loaded = load(loaded)

    assert loaded.given == ["7", "8"]
    assert loaded.results["8"]["outcome"] == "rejected"
    assert len(loaded.results) == 20


def test_a_create_under_way_is_pending_until_it_is_told_how_it_ended(
    ledger: Ledger, load: Load
) -> None:
    ledger.record_intents(
        Place(TEAM, "contact", "crm-contacts"), "run-1", [Intent("1"), Intent("2")]
    )
    loaded = load(Loaded())
    assert {key: one["outcome"] for key, one in loaded.results.items()} == {
        "1": "pending", "2": "pending",
    }  # fmt: skip
    save(ledger, created("1"), created("2"))
    loaded = load(loaded)
    assert {key: one["outcome"] for key, one in loaded.results.items()} == {
        "1": "created", "2": "created",
    }  # fmt: skip


def test_a_run_with_nothing_new_gives_nothing_and_keeps_its_bookmark_moving(
    ledger: Ledger, load: Load, run_sql: Sql
) -> None:
    save(ledger, created("1"))
    age(run_sql, minutes=60)
    loaded = load(Loaded())
    before = loaded.bookmark
    loaded = load(loaded)
    assert loaded.given == []
    assert before is not None
    assert loaded.bookmark is not None
    assert loaded.bookmark > before


def test_rows_of_one_moment_all_come_when_one_more_is_written_in_it(
    ledger: Ledger, load: Load, run_sql: Sql
) -> None:
    save(ledger, created("1"), created("2"))
    loaded = load(Loaded())
    save(ledger, created("3"))
    (moment,) = run_sql("SELECT min(changed_at) FROM apollo_row_links")
    change(run_sql, f"changed_at = {moment[0]}", "3")
    assert "3" in load(loaded).given


def test_links_from_an_older_ledger_come_once_as_the_oldest(
    ledger: Ledger, load: Load, run_sql: Sql
) -> None:
    save(ledger, created("1"), created("2"))
    age(run_sql, minutes=60)
    change(run_sql, "changed_at = NULL", "1")
    loaded = load(Loaded())
    assert loaded.given == ["1", "2"]
    assert loaded.results["1"]["changed_at"] is None
    assert load(loaded).given == []


@pytest.mark.parametrize("links", [0, 1, 2, 3, 4, 5])
def test_a_ledger_of_any_number_of_pages_is_read_to_its_end(
    ledger: Ledger, load: Load, monkeypatch: pytest.MonkeyPatch, links: int
) -> None:
    monkeypatch.setattr(results, "PAGE", 2)
    keys = sorted(f'"{number}"' for number in range(links))
    if keys:
        save(ledger, *(created(key) for key in keys))
    assert load(Loaded()).given == keys


@pytest.mark.parametrize("links", [1, 2, 3, 5])
def test_what_changed_since_is_read_to_its_end_also_where_links_share_a_moment(
    ledger: Ledger, load: Load, run_sql: Sql, monkeypatch: pytest.MonkeyPatch, links: int
) -> None:
    monkeypatch.setattr(results, "PAGE", 2)
    save(ledger, *(created(str(number)) for number in range(9)))
    age(run_sql, 60)
    loaded = load(Loaded())
    changed = [str(8 - number) for number in range(links)]
    age(run_sql, 0, *changed)
    assert load(loaded).given == sorted(changed)


def test_teams_and_objects_that_share_a_key_have_a_record_each(
    ledger: Ledger, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "PAGE", 1)
    for team in ("team-1", "team-2"):
        for kind in ("account", "contact"):
            ledger.record_outcomes(Place(team, kind, "crm"), "run-1", [created("1")])
    assert len(load(Loaded()).tables["apollo_sync_results"]) == 4


def test_sources_that_share_a_stream_and_a_key_have_a_record_each(
    ledger: Ledger, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "PAGE", 1)
    for source in ("", "tap-crm", "tap-shop"):
        place = Place(TEAM, "contact", "crm", source)
        ledger.record_outcomes(place, "run-1", [created("1")])
    records = load(Loaded()).tables["apollo_sync_results"].values()
    assert sorted(record["source"] for record in records) == ["", "tap-crm", "tap-shop"]


def test_a_record_that_somebody_deleted_in_apollo_is_gone(ledger: Ledger, load: Load) -> None:
    save(ledger, LinkOutcome("1", LinkStatus.GONE, apollo_id="a" * 24))
    found = load(Loaded()).results["1"]
    assert (found["outcome"], found["apollo_id"]) == ("gone", "a" * 24)


def test_a_whole_table_is_given_each_time_where_the_catalog_says_so(
    ledger: Ledger, load: Load, run_sql: Sql
) -> None:
    save(ledger, created("1"), created("2"))
    age(run_sql, minutes=60)
    loaded = load(Loaded(), replication_method="FULL_TABLE")
    assert load(loaded, replication_method="FULL_TABLE").given == ["1", "2"]


def test_an_address_as_key_leaves_the_ledger_as_its_hash(ledger: Ledger, load: Load) -> None:
    key = source_key(["ann@customer.example"])
    save(ledger, created(key))
    loaded = load(Loaded())
    assert loaded.given == [key]
    assert "ann" not in str(loaded.records)


def test_properties_that_are_not_selected_do_not_come(ledger: Ledger, load: Load) -> None:
    save(ledger, created("1"))
    (record,) = load(Loaded(), without=("run_id", "apollo_id")).records["apollo_sync_results"]
    assert "outcome" in record
    assert not {"run_id", "apollo_id"} & set(record)


def test_before_the_first_sync_there_are_no_results(
    load: Load, sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert load(Loaded()).given == []
    assert "first run of target-apollo" in caplog.text


def test_a_bookmark_that_is_no_time_is_said(
    ledger: Ledger, load: Load, caplog: pytest.LogCaptureFixture
) -> None:
    save(ledger, created("1"))
    bookmark = {"replication_key": "changed_at", "replication_key_value": "noon"}
    load(Loaded(state={"bookmarks": {"apollo_sync_results": bookmark}}), code=2)
    assert "no time" in caplog.text
