"""A stream without a place in Apollo costs a run only if it has records and nobody left it out."""

from __future__ import annotations

import pytest

from target_apollo.sandbox import Sandbox
from tests.promises.conftest import Run, contact, record, schema, state

DEALS = schema("deals", key="id")
A_DEAL = record("deals", id=1, email="deal@a.com")


def test_a_stream_that_a_map_leaves_out_needs_no_object(apollo: Sandbox, sync: Run) -> None:
    done = sync(
        [schema("contacts"), DEALS, contact(1), A_DEAL, state({"at": 2})],
        stream_maps={"deals": None},
    )

    assert (done.exit_code, done.last_state) == (0, {"at": 2})
    assert done.records == {"received": 2, "created": 1, "skipped": 1}
    assert "deals" not in done.log


def test_a_stream_without_an_object_and_without_records_is_told_of_once(
    apollo: Sandbox, sync: Run
) -> None:
    done = sync([schema("contacts"), DEALS, contact(1), DEALS, state(1)])

    assert (done.exit_code, done.last_state, len(apollo.store.contacts())) == (0, 1, 1)
    assert done.log.count("Stream 'deals' fits neither contacts nor accounts by its name") == 1


def test_a_stream_without_an_object_ends_the_run_at_its_first_record(
    apollo: Sandbox, sync: Run
) -> None:
    done = sync([schema("contacts"), DEALS, contact(1), A_DEAL, state({"at": 2})])

    assert (done.exit_code, done.states, len(apollo.store.contacts())) == (2, [], 0)
    assert '{"deals": false} to leave its records out' in done.summary["ended_because"]
    assert not done.rejects


@pytest.mark.parametrize("pattern", ["deals", "de*"])
def test_a_stream_that_is_left_out_is_skipped_and_counted(
    apollo: Sandbox, sync: Run, pattern: str
) -> None:
    done = sync(
        [schema("contacts"), DEALS, contact(1), A_DEAL, A_DEAL, state({"at": 3})],
        streams={pattern: False},
    )

    assert (done.exit_code, done.last_state) == (0, {"at": 3})
    assert done.summary["streams"]["deals"]["skipped"] == 2
    assert done.summary["left_out"] == {"deals": 2}
    assert (
        "2 records of stream 'deals' were skipped: the setting 'streams' leaves it out" in done.log
    )
    assert "was used for no stream" not in done.log
    assert len(apollo.store.contacts()) == 1


def test_contacts_that_are_left_out_are_not_written(apollo: Sandbox, sync: Run) -> None:
    done = sync([schema("contacts"), contact(1), state(1)], streams={"contacts": False})

    assert (done.exit_code, done.last_state, apollo.store.contacts()) == (0, 1, [])
    assert "POST /contacts/bulk_create" not in done.summary["api"].get("requests", {})


def test_a_stream_that_no_map_names_may_be_left_out_with_all_others(
    apollo: Sandbox, sync: Run
) -> None:
    done = sync(
        [schema("contacts"), DEALS, contact(1), record("deals", id=1), state(1)],
        stream_maps={"__else__": None, "contacts": {}},
    )

    assert (done.exit_code, done.last_state, len(apollo.store.contacts())) == (0, 1, 1)


def test_a_plan_shows_what_is_left_out(apollo: Sandbox, sync: Run) -> None:
    done = sync(
        [schema("contacts"), DEALS, contact(1), A_DEAL], streams={"deals": False}, dry_run=True
    )

    assert (done.exit_code, done.summary["left_out"]) == (0, {"deals": 1})


def test_an_entry_that_is_true_is_one_without_settings(apollo: Sandbox, sync: Run) -> None:
    done = sync([schema("contacts"), contact(1)], streams={"contacts": True})

    assert (done.exit_code, len(apollo.store.contacts())) == (0, 1)


def test_an_alias_gives_a_stream_its_place(apollo: Sandbox, sync: Run) -> None:
    done = sync([DEALS, A_DEAL], stream_maps={"deals": {"__alias__": "contacts"}})

    assert (done.exit_code, len(apollo.store.contacts())) == (0, 1)


@pytest.mark.parametrize("of_whole_tables", [True, False])
def test_a_whole_table_that_is_left_out_moves_nothing(
    apollo: Sandbox, sync: Run, of_whole_tables: bool
) -> None:
    whole = [{"type": "ACTIVATE_VERSION", "stream": "deals", "version": 1}]
    done = sync(
        [DEALS, A_DEAL, *whole * of_whole_tables], streams={"deals": False}, on_delete="list:Gone"
    )

    assert done.exit_code == 0


def test_a_run_without_a_stream_says_that_it_did_nothing(apollo: Sandbox, sync: Run) -> None:
    done = sync([state({"bookmarks": {}})])
    assert done.exit_code == 0
    assert "No stream came: the input has no SCHEMA, so no row was read." in done.log
    assert apollo.store.contacts() == []


def test_a_stream_without_rows_is_no_cause_for_a_warning(apollo: Sandbox, sync: Run) -> None:
    assert "No stream came" not in sync([schema("contacts"), state({})]).log
