"""Accounts are updated by PATCH; a team whose Apollo takes only PUT pays one refused request."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from target_apollo.sandbox import Sandbox
from tests.helpers.databases import own_database
from tests.promises.conftest import Message, Run, record, schema

PUT, PATCH = "PUT /accounts/{id}", "PATCH /accounts/{id}"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.full)])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/ledger.db"
        return
    with own_database() as server:
        yield server.url


def firms(phone: str) -> list[Message]:
    rows = [
        record("accounts", id=n, domain=f"firm{n}.com", name=f"Firm {n}", phone_number=phone)
        for n in range(3)
    ]
    return [schema("accounts"), *rows]


def counts(apollo: Sandbox) -> tuple[int, int]:
    return apollo.count(PATCH), apollo.count(PUT)


def test_where_apollo_takes_patch_put_is_never_sent(
    apollo: Sandbox, sync: Run, ledger_url: str
) -> None:
    apollo.set_options(put_accounts="accepted")
    sync(firms("+49 30 1"), ledger_url=ledger_url)

    done = sync(firms("+49 30 2"), ledger_url=ledger_url)

    assert done.records == {"received": 3, "updated": 3}, done.log
    assert counts(apollo) == (3, 0)


@pytest.mark.parametrize("refused", ["not_found", "not_allowed"])
def test_a_later_run_pays_for_no_refused_request(
    apollo: Sandbox, sync: Run, ledger_url: str, refused: str
) -> None:
    apollo.set_options(patch_accounts=refused, put_accounts="accepted")
    settings: dict[str, Any] = {"ledger_url": ledger_url, "parallel_requests": 1}
    sync(firms("+49 30 1"), **settings)

    sync(firms("+49 30 2"), **settings)
    assert counts(apollo) == (1, 3)
    done = sync(firms("+49 30 3"), **settings)

    assert done.records == {"received": 3, "updated": 3}, done.log
    assert counts(apollo) == (1, 6)


def test_without_a_ledger_each_run_finds_the_method_out(apollo: Sandbox, sync: Run) -> None:
    apollo.set_options(patch_accounts="not_found", put_accounts="accepted")
    settings: dict[str, Any] = {"ledger_url": "", "parallel_requests": 1}
    sync(firms("+49 30 1"), **settings)

    sync(firms("+49 30 2"), **settings)
    done = sync(firms("+49 30 3"), **settings)

    assert done.records == {"received": 3, "updated": 3}, done.log
    assert counts(apollo) == (2, 6)


@pytest.mark.full
def test_a_team_whose_apollo_has_moved_to_patch_is_written_by_patch_again(
    apollo: Sandbox, sync: Run, ledger_url: str
) -> None:
    settings: dict[str, Any] = {"ledger_url": ledger_url, "parallel_requests": 1}
    apollo.set_options(patch_accounts="not_found", put_accounts="accepted")
    sync(firms("+49 30 1"), **settings)
    sync(firms("+49 30 2"), **settings)
    apollo.set_options(patch_accounts="accepted", put_accounts="not_found")

    sync(firms("+49 30 3"), **settings)
    done = sync(firms("+49 30 4"), **settings)

    assert done.records == {"received": 3, "updated": 3}, done.log
    assert counts(apollo) == (1 + 3 + 3, 3 + 1)


@pytest.mark.full
def test_a_dry_run_counts_the_method_that_the_run_will_use(
    apollo: Sandbox, sync: Run, ledger_url: str
) -> None:
    apollo.set_options(patch_accounts="not_allowed", put_accounts="accepted")
    sync(firms("+49 30 1"), ledger_url=ledger_url)
    sync(firms("+49 30 2"), ledger_url=ledger_url)

    planned = sync(firms("+49 30 3"), ledger_url=ledger_url, dry_run=True)

    requests = planned.summary["estimate"]["requests"]
    assert (requests.get(PUT), requests.get(PATCH)) == (3, None)
