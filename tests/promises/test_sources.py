"""Two taps of one project may have streams of one name and rows of one key."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.ledger.conftest import (  # noqa: F401 - fixtures
    ledger_url,
    postgresql_server,
    postgresql_url,
    sqlite_url,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from target_apollo.sandbox import Sandbox
    from tests.promises.conftest import Message, TargetRun

    Run = Callable[..., TargetRun]

NAMES = {"id": {}, "email": {}, "title": {}}
HEAD: Message = {
    "type": "SCHEMA",
    "stream": "contacts",
    "schema": {"properties": NAMES},
    "key_properties": ["id"],
}


def people(team: str, *numbers: int, title: str = "Buyer") -> list[Message]:
    return [
        HEAD,
        *(
            {
                "type": "RECORD",
                "stream": "contacts",
                "record": {"id": n, "email": f"p{n}@{team}.example", "title": title},
            }
            for n in numbers
        ),
    ]


def in_apollo(apollo: Sandbox) -> dict[str, Any]:
    return {one["email"]: one["title"] for one in apollo.store.contacts()}


def sent(apollo: Sandbox) -> list[str]:
    return [one.path for one in apollo.requests if re.search("/(contacts|accounts)", one.path)]


@pytest.fixture
def load(sync: Run, ledger_url: str) -> Run:  # noqa: F811
    def run(rows: list[Message], source: str | None = None, **settings: Any) -> TargetRun:
        return sync(rows, ledger_url=ledger_url, source=source, **settings)

    return run


@pytest.mark.parametrize("mode", ["insert", "upsert"])
def test_rows_of_two_taps_with_the_same_keys_are_all_there(
    load: Run, apollo: Sandbox, mode: str
) -> None:
    for source in ("tap-crm", "tap-shop"):
        done = load(people(source, 1, 2, 3), source, mode=mode)
        assert done.records == {"received": 3, "created": 3}
    assert len(in_apollo(apollo)) == 6

    before = sent(apollo)
    settled = "existing" if mode == "insert" else "unchanged"
    for source in ("tap-shop", "tap-crm", "tap-shop"):
        again = load(people(source, 1, 2, 3), source, mode=mode)
        assert again.records == {"received": 3, settled: 3}
    assert sent(apollo) == before


@pytest.mark.full
def test_a_change_of_one_source_s_row_leaves_the_other_s_alone(load: Run, apollo: Sandbox) -> None:
    for source in ("tap-crm", "tap-shop"):
        load(people(source, 1, 2), source)
    load(people("tap-shop", 1, title="Boss"), "tap-shop")
    assert in_apollo(apollo) == {
        "p1@tap-crm.example": "Buyer", "p2@tap-crm.example": "Buyer",
        "p1@tap-shop.example": "Boss", "p2@tap-shop.example": "Buyer",
    }  # fmt: skip


def test_meltano_s_name_of_the_extractor_is_the_source(
    load: Run, apollo: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for extractor in ("tap-crm", "tap-shop"):
        monkeypatch.setenv("MELTANO_EXTRACTOR_NAME", extractor)
        assert load(people(extractor, 1, 2)).records == {"received": 2, "created": 2}
    assert len(in_apollo(apollo)) == 4


@pytest.mark.full
def test_an_empty_source_is_none_under_meltano_too(
    load: Run, apollo: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(people("crm", 1))
    monkeypatch.setenv("MELTANO_EXTRACTOR_NAME", "tap-crm")
    assert load(people("crm", 1), "").records == {"received": 1, "unchanged": 1}
    monkeypatch.delenv("MELTANO_EXTRACTOR_NAME")
    moved = [HEAD, {**people("crm", 1)[1], "record": {"id": 1, "email": "new@crm.example"}}]
    assert load(moved).records == {"received": 1, "updated": 1}
    assert list(in_apollo(apollo)) == ["new@crm.example"]


# --- links from before there were sources


def test_a_source_that_gets_its_name_later_finds_its_rows_at_no_request(
    load: Run, apollo: Sandbox
) -> None:
    load(people("crm", 1, 2, 3))
    before = sent(apollo)
    for _ in range(2):
        assert load(people("crm", 1, 2, 3), "tap-crm").records == {"received": 3, "unchanged": 3}
    assert sent(apollo) == before


def test_a_second_source_that_comes_first_takes_over_nobody(load: Run, apollo: Sandbox) -> None:
    load(people("crm", 1, 2, 3))
    done = load(people("shop", 1, 2, 3, title="Boss"), "tap-shop")
    assert done.records == {"received": 3, "created": 3}
    assert in_apollo(apollo)["p1@crm.example"] == "Buyer"

    before = sent(apollo)
    assert load(people("crm", 1, 2, 3), "tap-crm").records == {"received": 3, "unchanged": 3}
    assert load(people("shop", 1, 2, 3, title="Boss"), "tap-shop").records == {
        "received": 3, "unchanged": 3,
    }  # fmt: skip
    assert sent(apollo) == before


def test_a_second_source_that_comes_later_takes_over_nobody(load: Run, apollo: Sandbox) -> None:
    load(people("crm", 1, 2, 3))
    load(people("crm", 1, 2, 3), "tap-crm")
    assert load(people("shop", 1, 2, 3), "tap-shop").records == {"received": 3, "created": 3}
    assert len(in_apollo(apollo)) == 6


def test_an_address_that_changed_meanwhile_stays_with_its_record(
    load: Run, apollo: Sandbox
) -> None:
    load(people("crm", 1, 2, 3))
    rows = people("crm", 1, 2, 3)
    rows[2]["record"]["email"] = "moved@crm.example"
    assert load(rows, "tap-crm").records == {"received": 3, "unchanged": 2, "updated": 1}
    assert set(in_apollo(apollo)) == {
        "p1@crm.example", "moved@crm.example", "p3@crm.example",
    }  # fmt: skip


def test_a_row_that_was_rejected_first_keeps_its_link_from_before(
    load: Run, apollo: Sandbox
) -> None:
    load(people("crm", 1, 2))
    wrong = people("crm", 1, 2)
    wrong[1]["record"]["email"] = "no address"
    assert load(wrong, "tap-crm").records == {"received": 2, "unchanged": 1, "rejected": 1}

    before = sent(apollo)
    assert load(people("crm", 1, 2), "tap-crm").records == {"received": 2, "unchanged": 2}
    assert sent(apollo) == before


def test_rows_that_can_not_be_told_apart_are_looked_up_once(load: Run, apollo: Sandbox) -> None:
    # Insert mode compares no values: the ledger has neither their hash nor their address.
    apollo.store.add_contact(email="p1@crm.example", title="Clerk")
    load(people("crm", 1), mode="insert")
    for _ in range(2):
        done = load(people("crm", 1), "tap-crm", mode="insert")
        assert done.records == {"received": 1, "existing": 1}
    before = sent(apollo)
    load(people("crm", 1), "tap-crm", mode="insert")
    assert sent(apollo) == before


# --- a run that has no source, such as a plan by hand


def test_a_plan_without_a_source_knows_the_rows_of_the_only_one(load: Run, apollo: Sandbox) -> None:
    load(people("crm", 1, 2, 3), "tap-crm")
    before = sent(apollo)
    planned = load(people("crm", 1, 2, 3), dry_run=True)
    assert planned.records == {"received": 3, "unchanged": 3}
    assert sent(apollo) == before


def test_a_run_without_a_source_writes_to_the_links_of_the_only_one(
    load: Run, apollo: Sandbox
) -> None:
    load(people("crm", 1, 2, 3), "tap-crm")
    assert load(people("crm", 1, 2, 3, title="Boss")).records == {"received": 3, "updated": 3}
    before = sent(apollo)
    done = load(people("crm", 1, 2, 3, title="Boss"), "tap-crm")
    assert done.records == {"received": 3, "unchanged": 3}
    assert sent(apollo) == before


def test_other_people_of_a_run_without_a_source_are_new(load: Run, apollo: Sandbox) -> None:
    load(people("crm", 1, 2, 3), "tap-crm")
    assert load(people("shop", 1, 2, 3)).records == {"received": 3, "created": 3}
    assert len(in_apollo(apollo)) == 6


def test_a_plan_changes_no_link(load: Run, apollo: Sandbox) -> None:
    load(people("crm", 1, 2))
    assert load(people("crm", 1, 2), "tap-crm", dry_run=True).records == {
        "received": 2, "unchanged": 2,
    }  # fmt: skip
    assert load(people("crm", 1, 2)).records == {"received": 2, "unchanged": 2}
    assert len(in_apollo(apollo)) == 2


# --- rows that a whole table no longer holds


@pytest.mark.full
def test_a_whole_table_of_one_source_moves_no_record_of_another(load: Run, apollo: Sandbox) -> None:
    for source in ("tap-crm", "tap-shop"):
        load(people(source, 1, 2), source)
    whole = [*people("tap-shop", 1), {"type": "ACTIVATE_VERSION", "stream": "contacts"}]
    whole[-1]["version"] = 1
    load(whole, "tap-shop", on_delete="list:Gone")
    on_list = {one["email"] for one in apollo.store.contacts() if one.get("label_ids")}
    assert on_list == {"p2@tap-shop.example"}
