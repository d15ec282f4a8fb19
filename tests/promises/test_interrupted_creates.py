"""Creates that were cut off and whose rows come back under another address."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from target_apollo.sandbox import Fault, FaultKind, Sandbox
from target_apollo.sync import recovery as strays
from tests.promises.conftest import Message, TargetRun, record, schema

Run = Callable[..., TargetRun]
CREATE = "POST /contacts/bulk_create"


def contact(number: int, email: str, **values: object) -> Message:
    return record("contacts", id=number, email=email, **values)


def emails(apollo: Sandbox) -> list[str]:
    return sorted(str(one["email"]) for one in apollo.store.contacts())


def cut_off(apollo: Sandbox, sync: Run, *rows: Message) -> None:
    """Creates rows by runs that end before they know it, each row in a run of its own."""
    apollo.inject(Fault(endpoint=CREATE, kind=FaultKind.RESET_AFTER_WRITE, times=None))
    for row in rows:
        assert sync([schema("contacts"), row], max_retries=0).exit_code == 1
    apollo.clear_faults()


@pytest.fixture
def shared(apollo: Sandbox, sync: Run) -> None:
    """Two rows that were both cut off with one address, under which Apollo has one contact."""
    cut_off(apollo, sync, contact(1, "old@a.com"), contact(2, "old@a.com"))
    assert emails(apollo) == ["old@a.com"]


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
@pytest.mark.parametrize("mode", ["insert", "upsert"])
def test_rows_that_go_on_sharing_an_address_keep_their_one_contact(
    apollo: Sandbox, sync: Run, order: tuple[int, ...], mode: str
) -> None:
    rows = [contact(number, "new@a.com") for number in order]

    done = sync([schema("contacts"), *rows], mode=mode)

    assert done.exit_code == 0
    assert len(apollo.store.contacts()) == 1


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_rows_that_part_have_a_contact_each(
    apollo: Sandbox, sync: Run, order: tuple[int, ...]
) -> None:
    rows = [contact(number, f"new{number}@a.com", title=f"T{number}") for number in order]

    done = sync([schema("contacts"), *rows])

    assert done.records["received"] == 2
    found = {one["email"]: one["title"] for one in apollo.store.contacts()}
    assert found == {"new1@a.com": "T1", "new2@a.com": "T2"}


def test_a_create_that_was_never_confirmed_is_found_under_its_former_address(
    apollo: Sandbox, sync: Run
) -> None:
    apollo.inject(Fault(endpoint=CREATE, kind=FaultKind.RECORDS_LEFT_OUT, times=None))
    first = sync([schema("contacts"), contact(1, "old@a.com")])
    assert first.reasons == ["not_confirmed"]
    apollo.clear_faults()

    sync([schema("contacts"), contact(1, "new@a.com")])

    assert emails(apollo) == ["new@a.com"]


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_plan_knows_what_a_cut_off_run_has_made_of_a_row(
    apollo: Sandbox, sync: Run, dry_run: bool
) -> None:
    cut_off(apollo, sync, contact(1, "old@a.com"))
    for _ in range(2 if dry_run else 1):
        done = sync([schema("contacts"), contact(1, "new@a.com")], dry_run=dry_run)
        assert done.records == {"received": 1, "updated": 1}
    assert emails(apollo) == ["old@a.com" if dry_run else "new@a.com"]


def make_others(apollo: Sandbox, count: int) -> None:
    for number in range(count):
        apollo.store.add_contact(email=f"other{number}@b.com")


def test_who_looks_through_too_few_records_says_so(
    apollo: Sandbox, sync: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cut_off(apollo, sync, contact(1, "old@a.com"))
    make_others(apollo, 250)
    monkeypatch.setattr(strays, "_MOST_PAGES", 2)

    done = sync([schema("contacts"), contact(1, "new@a.com")])

    assert done.records == {"received": 1, "created": 1}
    (warning,) = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert "have another e-mail or domain now (1 of them)" in warning.getMessage()
    assert "not among the newest 200 contacts" in warning.getMessage()
    assert "@" not in warning.getMessage()


def test_a_record_on_the_last_page_that_is_looked_at_is_found_without_a_word(
    apollo: Sandbox, sync: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cut_off(apollo, sync, contact(1, "old@a.com"))
    make_others(apollo, 150)
    monkeypatch.setattr(strays, "_MOST_PAGES", 2)

    sync([schema("contacts"), contact(1, "new@a.com")])

    assert "new@a.com" in emails(apollo)
    assert "old@a.com" not in emails(apollo)
    assert [one for one in caplog.records if one.levelno == logging.WARNING] == []
