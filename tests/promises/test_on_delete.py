"""Rows that are deleted at the source: their records go to a stage or a list."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from target_apollo.sandbox import Fault, FaultKind, Sandbox
from tests.promises.conftest import Message, TargetRun, record, schema, state

Run = Callable[..., TargetRun]
WHOLE: Message = {"type": "ACTIVATE_VERSION", "stream": "contacts", "version": 1}
STAGES = "POST /contacts/update_stages"
ACCOUNTS = "POST /accounts/bulk_update"
LISTS = "POST /labels/add_entity_ids_to_label_names"


def contact(number: int, **values: object) -> Message:
    return record("contacts", **{"id": number, "email": f"p{number}@a.com", **values})


def deleted(number: int, **values: object) -> Message:
    """What a tap that reads the log sends: the key and the time."""
    return record("contacts", id=number, _sdc_deleted_at="2026-01-01T00:00:00Z", **values)


def stage_of(apollo: Sandbox, name: str) -> str:
    return next(str(one["id"]) for one in apollo.store.contact_stages if one["name"] == name)


def stages(apollo: Sandbox) -> dict[str, str]:
    names = {one["id"]: one["name"] for one in apollo.store.contact_stages}
    return {str(one["email"]): names[one["contact_stage_id"]] for one in apollo.store.contacts()}


def a_stage(apollo: Sandbox) -> str:
    return str(apollo.store.contact_stages[-1]["name"])


def test_a_deleted_row_moves_its_contact_to_the_stage(apollo: Sandbox, sync: Run) -> None:
    gone = a_stage(apollo)
    sync([schema("contacts"), contact(1), contact(2)])

    done = sync([schema("contacts"), deleted(1)], on_delete=f"stage:{gone}")

    assert done.records == {"received": 1, "updated": 1}
    assert done.summary["deleted"] == {"contacts": 1}
    assert stages(apollo)["p1@a.com"] == gone
    assert stages(apollo)["p2@a.com"] != gone


def test_a_deleted_row_puts_its_contact_on_the_list(apollo: Sandbox, sync: Run) -> None:
    sync([schema("contacts"), contact(1, title="A")])

    sync([schema("contacts"), deleted(1, title=None)], on_delete="list:Gone", null_policy="clear")

    (one,) = apollo.store.contacts()
    names = {label["id"]: label["name"] for label in apollo.store.labels()}
    assert [names[label] for label in one["label_ids"]] == ["Gone"]
    assert one["title"] == "A"


def test_deletions_are_left_alone_unless_a_place_is_named(apollo: Sandbox, sync: Run) -> None:
    sync([schema("contacts"), contact(1, title="A")])

    done = sync([schema("contacts"), deleted(1, email="p1@a.com", title="B")])

    assert done.records == {"received": 1, "skipped": 1}
    assert apollo.store.contacts()[0]["title"] == "A"


def test_a_deleted_row_without_a_record_makes_none(apollo: Sandbox, sync: Run) -> None:
    gone = f"stage:{a_stage(apollo)}"

    done = sync([schema("contacts"), deleted(1, email="p1@a.com"), deleted(2)], on_delete=gone)

    assert done.records == {"received": 2, "skipped": 2}
    assert apollo.store.contacts() == []


def test_without_a_ledger_a_deleted_row_is_found_by_its_address(apollo: Sandbox, sync: Run) -> None:
    gone = a_stage(apollo)
    apollo.store.add_contact(email="p1@a.com")

    sync(
        [schema("contacts"), deleted(1, email="P1@a.com")],
        on_delete=f"stage:{gone}",
        ledger_url="",
    )

    assert stages(apollo) == {"p1@a.com": gone}


def test_an_account_goes_to_its_own_kind_of_stage(apollo: Sandbox, sync: Run) -> None:
    stage = apollo.store.account_stages[-1]
    sync([schema("accounts"), record("accounts", id=1, domain="a.com", name="A")])

    mark = record("accounts", id=1, _sdc_deleted_at="2026-01-01")
    sync([schema("accounts"), mark], on_delete=f"stage:{stage['name']}")

    assert [one["account_stage_id"] for one in apollo.store.accounts()] == [stage["id"]]


def test_a_deletion_that_is_sent_again_costs_no_request(apollo: Sandbox, sync: Run) -> None:
    gone = f"stage:{a_stage(apollo)}"
    sync([schema("contacts"), contact(1)])
    sync([schema("contacts"), deleted(1)], on_delete=gone)

    again = sync([schema("contacts"), deleted(1)], on_delete=gone)

    assert again.records == {"received": 1, "unchanged": 1}


def test_a_row_that_comes_back_is_written_again(apollo: Sandbox, sync: Run) -> None:
    gone = f"list:{a_stage(apollo)}"
    sync([schema("contacts"), contact(1, title="A")])
    sync([schema("contacts"), deleted(1)], on_delete=gone)

    done = sync([schema("contacts"), contact(1, title="B")], on_delete=gone)

    assert done.records == {"received": 1, "updated": 1}
    assert apollo.store.contacts()[0]["title"] == "B"


def test_of_a_deletion_and_a_return_in_one_batch_the_return_counts(
    apollo: Sandbox, sync: Run
) -> None:
    gone = a_stage(apollo)

    sync(
        [schema("contacts"), deleted(1, email="p1@a.com"), contact(1, title="A")],
        on_delete=f"stage:{gone}",
    )

    assert stages(apollo)["p1@a.com"] != gone


def test_a_stage_that_there_is_not_ends_the_run(apollo: Sandbox, sync: Run) -> None:
    sync([schema("contacts"), contact(1)])

    done = sync([schema("contacts"), deleted(1)], on_delete="stage:Nowhere")

    assert done.exit_code == 2
    assert "'on_delete' can't be followed" in done.log


def test_a_record_that_is_gone_from_apollo_too_is_nothing_to_move(
    apollo: Sandbox, sync: Run
) -> None:
    sync([schema("contacts"), contact(1)])
    apollo.store.delete_contact(apollo.store.contacts()[0]["id"])

    done = sync([schema("contacts"), deleted(1)], on_delete=f"stage:{a_stage(apollo)}")

    assert done.records == {"received": 1, "skipped": 1}


@pytest.mark.full
def test_a_deleted_row_whose_record_is_gone_costs_nothing_when_it_is_sent_again(
    apollo: Sandbox, sync: Run
) -> None:
    sync([schema("contacts"), contact(1)])
    apollo.store.delete_contact(apollo.store.contacts()[0]["id"])
    place = f"stage:{a_stage(apollo)}"
    sync([schema("contacts"), deleted(1)], on_delete=place)
    apollo.reset_log()

    again = sync([schema("contacts"), deleted(1)], on_delete=place)
    back = sync([schema("contacts"), contact(1)], on_delete=place)

    assert again.records == back.records == {"received": 1, "skipped": 1}
    assert {one.method for one in apollo.requests if "usage" not in one.path} == {"GET"}
    assert apollo.store.contacts() == []


def whole_table(*numbers: int) -> list[Message]:
    return [schema("contacts"), *[contact(number) for number in numbers], WHOLE]


@pytest.mark.parametrize("place", ["stage", "list"])
def test_a_row_that_a_whole_table_no_longer_holds_is_moved_once(
    apollo: Sandbox, sync: Run, place: str
) -> None:
    gone = f"{place}:{a_stage(apollo)}"
    sync(whole_table(1, 2, 3), on_delete=gone)

    done = sync(whole_table(1, 3), on_delete=gone)
    again = sync(whole_table(1, 3), on_delete=gone)

    assert done.summary["deleted"] == {"contacts": 1}
    assert again.summary["deleted"] == {}
    if place == "stage":
        moved = [email for email, name in stages(apollo).items() if name == a_stage(apollo)]
        assert moved == ["p2@a.com"]


def test_a_table_that_came_empty_says_nothing_about_its_rows(apollo: Sandbox, sync: Run) -> None:
    gone = f"stage:{a_stage(apollo)}"
    sync(whole_table(1, 2), on_delete=gone)

    done = sync(whole_table(), on_delete=gone)

    assert done.exit_code == 0
    assert a_stage(apollo) not in stages(apollo).values()


def test_a_record_that_could_not_be_read_makes_no_row_gone(apollo: Sandbox, sync: Run) -> None:
    gone = f"stage:{a_stage(apollo)}"
    sync(whole_table(1, 2), on_delete=gone)

    done = sync(
        [schema("contacts"), contact(1), '{"type": "RECORD", "stream": "contacts", "rec', WHOLE],
        on_delete=gone,
        max_rejected_percent=100,
    )

    assert "not known which rows are gone" in done.log
    assert a_stage(apollo) not in stages(apollo).values()


def test_a_rejected_row_is_not_gone(apollo: Sandbox, sync: Run) -> None:
    gone = f"stage:{a_stage(apollo)}"
    sync(whole_table(1, 2), on_delete=gone)

    bad = contact(2, email="no address")
    sync([schema("contacts"), contact(1), bad, WHOLE], on_delete=gone, max_rejected_percent=100)

    assert a_stage(apollo) not in stages(apollo).values()


def test_a_table_that_lost_most_of_its_rows_stops_the_run_unless_max_updates_allows_it(
    apollo: Sandbox, sync: Run
) -> None:
    gone = f"stage:{a_stage(apollo)}"
    sync(whole_table(*range(30)), on_delete=gone)

    stopped = sync(whole_table(0), on_delete=gone)
    assert stopped.exit_code == 1
    assert "29 of the 30 records" in stopped.log
    assert a_stage(apollo) not in stages(apollo).values()

    allowed = sync(whole_table(0), on_delete=gone, max_updates=29)
    assert allowed.summary["deleted"] == {"contacts": 29}


def test_of_a_hundred_that_are_moved_together_one_that_is_gone_costs_no_other(
    apollo: Sandbox, sync: Run
) -> None:
    gone = f"stage:{a_stage(apollo)}"
    sync(whole_table(*range(20)), on_delete=gone)
    delete(apollo, "p7@a.com")

    done = sync(whole_table(*range(10, 20)), on_delete=gone, max_updates=10)

    assert done.exit_code == 0
    moved = {email for email, name in stages(apollo).items() if name == a_stage(apollo)}
    assert moved == {f"p{number}@a.com" for number in range(10) if number != 7}


def test_a_move_that_was_cut_off_is_made_by_the_next_run(apollo: Sandbox, sync: Run) -> None:
    gone = f"stage:{a_stage(apollo)}"
    sync(whole_table(1, 2), on_delete=gone)
    apollo.inject(Fault(endpoint=STAGES, kind=FaultKind.RESET_BEFORE_WRITE, times=None))
    assert sync(whole_table(1), on_delete=gone, max_retries=0).exit_code == 1
    apollo.clear_faults()

    sync(whole_table(1), on_delete=gone)

    assert stages(apollo)["p2@a.com"] == a_stage(apollo)


def milliseconds(*, ago: float) -> int:
    """What a tap calls the version of a table that it began to read so many seconds ago."""
    return int((time.time() - ago) * 1000)


def test_a_table_that_was_begun_before_the_run_moves_nothing(apollo: Sandbox, sync: Run) -> None:
    gone = f"stage:{a_stage(apollo)}"
    sync(whole_table(1, 2, 3), on_delete=gone)
    # Cut off after the first two rows: the next run gets the third only.
    sync(whole_table(1, 2)[:-1], on_delete=gone)

    resumed = {**WHOLE, "version": milliseconds(ago=3600)}
    done = sync([*whole_table(3)[:-1], resumed, resumed], on_delete=gone)

    assert done.exit_code == 0
    assert done.log.count("an earlier run may have read rows that did not come again") == 1
    assert done.summary["deleted"] == {}
    assert a_stage(apollo) not in stages(apollo).values()


def test_the_next_whole_table_moves_what_a_resumed_one_left(apollo: Sandbox, sync: Run) -> None:
    gone = f"stage:{a_stage(apollo)}"
    sync(whole_table(1, 2, 3), on_delete=gone)
    sync([*whole_table(3)[:-1], {**WHOLE, "version": milliseconds(ago=3600)}], on_delete=gone)

    done = sync(
        [*whole_table(1, 3)[:-1], {**WHOLE, "version": milliseconds(ago=2)}], on_delete=gone
    )

    assert done.summary["deleted"] == {"contacts": 1}
    assert stages(apollo)["p2@a.com"] == a_stage(apollo)


@pytest.mark.parametrize("place", ["stage", "list"])
def test_a_vanished_row_whose_record_is_gone_too_is_forgotten(
    apollo: Sandbox, sync: Run, place: str
) -> None:
    gone = f"{place}:{a_stage(apollo)}"
    sync(whole_table(1, 2), on_delete=gone)
    delete(apollo, "p2@a.com")

    done = sync(whole_table(1), on_delete=gone)
    again = sync(whole_table(1), on_delete=gone)

    assert (done.exit_code, again.exit_code) == (0, 0)
    assert done.summary["deleted"] == {}
    assert sent(done)
    assert not sent(again)


def test_of_the_rows_that_vanished_with_their_records_those_that_are_there_go_on_the_list(
    apollo: Sandbox, sync: Run
) -> None:
    gone = f"list:{a_stage(apollo)}"
    sync(whole_table(1, 2, 3), on_delete=gone)
    delete(apollo, "p2@a.com")

    done = sync(whole_table(1), on_delete=gone)

    assert done.exit_code == 0
    listed = {str(one["email"]): len(one["label_ids"]) for one in apollo.store.contacts()}
    assert listed == {"p1@a.com": 0, "p3@a.com": 1}


def test_a_lost_answer_to_a_list_takes_no_record_for_gone(apollo: Sandbox, sync: Run) -> None:
    gone = f"list:{a_stage(apollo)}"
    sync(whole_table(1, 2), on_delete=gone)
    apollo.inject(Fault(endpoint=LISTS, kind=FaultKind.RESET_BEFORE_WRITE, times=None))
    assert sync(whole_table(1), on_delete=gone, max_retries=0).exit_code == 1
    apollo.clear_faults()

    done = sync(whole_table(1), on_delete=gone)

    assert done.summary["deleted"] == {"contacts": 1}


@pytest.mark.parametrize("place", ["stage", "list"])
def test_a_vanished_account_whose_record_is_gone_too_is_forgotten(
    apollo: Sandbox, sync: Run, place: str
) -> None:
    gone = f"{place}:{apollo.store.account_stages[-1]['name']}"
    table = [schema("accounts"), record("accounts", id=1, domain="a.com", name="A")]
    whole = {**WHOLE, "stream": "accounts"}
    sync([*table, record("accounts", id=2, domain="b.com", name="B"), whole], on_delete=gone)
    lost = next(one for one in apollo.store.accounts() if one["domain"] == "b.com")
    with apollo.store.lock:
        del apollo.store.account_by_id[str(lost["id"])]

    done = sync([*table, whole], on_delete=gone)
    again = sync([*table, whole], on_delete=gone)

    assert (done.exit_code, again.exit_code) == (0, 0)
    assert sent(done)
    assert not sent(again)


@pytest.mark.parametrize("place", ["", "stage"])
@pytest.mark.parametrize("stream", [{}, {"stream": ["contacts"]}, {"stream": None}])
def test_a_version_that_names_no_stream_is_unreadable_and_moves_nothing(
    apollo: Sandbox, sync: Run, place: str, stream: Message
) -> None:
    on_delete = {"on_delete": f"stage:{a_stage(apollo)}"} if place else {}
    sync(whole_table(1, 2), **on_delete)

    nameless = {"type": "ACTIVATE_VERSION", "version": 1, **stream}
    done = sync([*whole_table(1)[:-1], nameless], max_rejected_percent=100, **on_delete)

    assert done.exit_code == 0
    assert done.records == {"received": 2, "unchanged": 1, "rejected": 1}
    assert "an ACTIVATE_VERSION without 'stream'" in done.log
    assert a_stage(apollo) not in stages(apollo).values()


def delete(apollo: Sandbox, email: str) -> None:
    """What a user of Apollo does."""
    lost = next(one for one in apollo.store.contacts() if one["email"] == email)
    apollo.store.delete_contact(lost["id"])


def sent(done: TargetRun) -> list[str]:
    """The endpoints that move records or look for them, as far as a run has used them."""
    requests = done.summary["api"]["requests"]
    return [
        endpoint
        for endpoint in (STAGES, ACCOUNTS, LISTS, "GET /contacts/{id}", "GET /accounts/{id}")
        if requests.get(endpoint)
    ]


@pytest.mark.parametrize("ledger", ["sqlite:///{}/ledger.db", ""])
def test_a_deleted_row_whose_record_is_gone_from_apollo_stops_no_run(
    apollo: Sandbox, sync: Run, tmp_path: Path, ledger: str
) -> None:
    own = {"on_delete": "list:Left", "ledger_url": ledger.format(tmp_path)}
    sync([schema("contacts"), contact(1), contact(2)], **own)
    (gone,) = [one for one in apollo.store.contacts() if one["email"] == "p1@a.com"]
    apollo.store.forget_contact(gone["id"])

    done = sync(
        [schema("contacts"), contact(1, _sdc_deleted_at="2026-11-01"), state({"at": 1})], **own
    )

    assert (done.exit_code, done.last_state) == (0, {"at": 1}), done.log
    assert done.records == {"received": 1, "skipped": 1}
