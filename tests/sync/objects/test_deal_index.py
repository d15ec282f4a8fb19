"""Finding deals by their marks: one pass through all deals, which is whole or proves nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_apollo.apollo import QuotaExhausted, RequestRefused, endpoints
from target_apollo.apollo.object_clients import CountedPage, DealClient
from target_apollo.ledger import Ledger, Walk
from target_apollo.sync.exit import RunError
from target_apollo.sync.objects import deal_index, mark_index
from target_apollo.sync.objects.deal_index import DealIndex
from target_apollo.sync.run import SyncRun

FIELD = "f" * 24
START = datetime(2026, 1, 1, tzinfo=timezone.utc)
Deal = dict[str, Any]


@pytest.fixture(autouse=True)
def _search_shows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mark_index, "SHOWN_AFTER", timedelta(0))


def deal(number: int, mark: str = "") -> Deal:
    custom = {FIELD: mark or f"deals/{number}"}
    return {"id": f"{number:024x}", "name": "x", "typed_custom_fields": custom}


class Apollo:
    """A search for deals, and what happens between two of its pages."""

    def __init__(self, deals: list[Deal], *, most: int | None = None) -> None:
        self.deals = deals
        self.most = most
        self.asked: list[int] = []
        self.before: Callable[[int], None] = lambda page: None
        self.claims = 0

    def page(self, page: int) -> CountedPage:
        if self.most is not None and len(self.asked) >= self.most:
            raise QuotaExhausted(endpoints.SEARCH_DEALS, retry_at=START)
        self.before(page)
        self.asked.append(page)
        pages = -(-max(len(self.deals), self.claims) // 100)
        shown = self.deals[(page - 1) * 100 : page * 100]
        return CountedPage(shown, pages, max(len(self.deals), self.claims))

    def read(self, deal_id: str) -> Deal:
        for one in self.deals:
            if one["id"] == deal_id:
                return one
        raise RequestRefused(endpoints.READ_DEAL, status=404, message="Not Found")


class Pool:
    def run(self, calls: list[Callable[[], Any]]) -> list[Any]:
        results: list[Any] = []
        for call in calls:
            try:
                results.append(call())
            except RequestRefused as refused:
                results.append(refused)
        return results


def index_of(apollo: Apollo, ledger: Ledger | None = None, *, run: int = 0) -> DealIndex:
    stand_in = SimpleNamespace(
        ledger=ledger,
        connection="team",
        stop=threading.Event(),
        pool=Pool(),
        counts=SimpleNamespace(started_at=START + timedelta(hours=run)),
        settings=SimpleNamespace(full_resync=False),
        request_counter=SimpleNamespace(plan_requests=lambda _: None),
    )
    return DealIndex(cast(SyncRun, stand_in), cast(DealClient, apollo), FIELD)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as opened:
        yield opened


def test_one_pass_finds_all_and_later_runs_need_none(ledger: Ledger) -> None:
    apollo = Apollo([deal(n) for n in range(250)])
    first, second = index_of(apollo, ledger), index_of(apollo, ledger, run=1)

    assert first.find(["deals/7", "deals/300"], None) == {"deals/7": (deal(7)["id"],)}
    assert second.find(["deals/249"], None) == {"deals/249": (deal(249)["id"],)}
    assert apollo.asked == [1, 2, 3]


def test_a_lost_answer_needs_a_pass_that_began_in_a_later_run(ledger: Ledger) -> None:
    apollo = Apollo([deal(1)])
    index_of(apollo, ledger).find(["deals/1"], None)
    apollo.deals.append(deal(2))

    assert index_of(apollo, ledger, run=1).find(["deals/2"], START) == {"deals/2": (deal(2)["id"],)}
    assert apollo.asked == [1, 1]


def test_a_pass_that_the_quota_cuts_off_goes_on_in_the_next_run(ledger: Ledger) -> None:
    apollo = Apollo([deal(n) for n in range(450)], most=3)
    with pytest.raises(QuotaExhausted):
        index_of(apollo, ledger).find(["deals/449"], None)
    apollo.most = None

    later = index_of(apollo, ledger, run=1)

    assert later.find(["deals/449", "deals/0"], None).keys() == {"deals/449", "deals/0"}
    assert apollo.asked == [1, 2, 3, 3, 4, 5]


def test_no_deal_is_missed_where_many_are_deleted_between_two_runs_of_a_pass(
    ledger: Ledger,
) -> None:
    apollo = Apollo([deal(n) for n in range(700)], most=3)
    with pytest.raises(QuotaExhausted):
        index_of(apollo, ledger).find(["deals/699"], None)
    apollo.most = None
    del apollo.deals[:250]

    found = index_of(apollo, ledger, run=1).find([f"deals/{n}" for n in range(250, 700)], None)

    assert len(found) == 450


@pytest.mark.parametrize("newest_first", [False, True])
def test_no_deal_is_missed_where_as_many_are_made_as_deleted_between_two_runs_of_a_pass(
    ledger: Ledger, newest_first: bool
) -> None:
    apollo = Apollo([deal(n) for n in range(700)], most=3)
    with pytest.raises(QuotaExhausted):
        index_of(apollo, ledger).find(["deals/699"], None)
    apollo.most = None
    made = [deal(n) for n in range(1000, 1250)]
    del apollo.deals[:250]
    apollo.deals = [*made, *apollo.deals] if newest_first else [*apollo.deals, *made]

    found = index_of(apollo, ledger, run=1).find([f"deals/{n}" for n in range(250, 700)], None)

    assert len(found) == 450


class Kept:
    """What a ledger keeps of deals and of a pass through them."""

    def __init__(self) -> None:
        self.ids: dict[str, str] = {}
        self.walks: dict[str, Walk] = {}

    def walk(self, place: str) -> Walk | None:
        return self.walks.get(place)

    def save_walk(self, place: str, walk: Walk) -> None:
        self.walks[place] = walk

    def company_ids(self, place: str, hashes: list[str]) -> dict[str, str]:
        return {one: self.ids[one] for one in hashes if one in self.ids}

    def save_companies(self, place: str, ids: dict[str, str]) -> None:
        self.ids |= ids


@given(
    limits=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    deleted=st.lists(st.tuples(st.integers(0, 599), st.integers(0, 300)), min_size=3, max_size=3),
    made=st.lists(st.integers(0, 300), min_size=3, max_size=3),
    newest_first=st.booleans(),
)
def test_no_deal_is_missed_whatever_is_made_and_deleted_between_the_runs_of_a_pass(
    limits: list[int], deleted: list[tuple[int, int]], made: list[int], newest_first: bool
) -> None:
    apollo, kept = Apollo([deal(n) for n in range(600)]), cast(Ledger, Kept())
    numbers = iter(range(1000, 5000))
    for run, limit in enumerate(limits):
        apollo.asked, apollo.most = [], limit
        with suppress(QuotaExhausted):
            index_of(apollo, kept, run=run).find(["deals/none"], None)
        place, number = deleted[run]
        del apollo.deals[place : place + number]
        new = [deal(next(numbers)) for _ in range(made[run])]
        apollo.deals = [*new, *apollo.deals] if newest_first else [*apollo.deals, *new]
    apollo.most = None
    wanted = [f"deals/{n}" for n in range(600)]

    found = index_of(apollo, kept, run=9).find(wanted, None)

    there = {one["typed_custom_fields"][FIELD] for one in apollo.deals}
    assert there & set(wanted) <= set(found)


def test_a_pass_goes_on_where_it_stopped_though_new_deals_stand_before_the_others(
    ledger: Ledger,
) -> None:
    apollo = Apollo([deal(n) for n in range(700)], most=3)
    with pytest.raises(QuotaExhausted):
        index_of(apollo, ledger).find(["deals/699"], None)
    apollo.most, apollo.asked = None, []
    apollo.deals = [*(deal(n) for n in range(1000, 1150)), *apollo.deals]

    index_of(apollo, ledger, run=1).find(["deals/699"], None)

    assert apollo.asked == [3, 4, 5, 6, 7, 8, 9]


def test_a_pass_begins_anew_where_all_that_it_has_read_was_deleted(ledger: Ledger) -> None:
    apollo = Apollo([deal(n) for n in range(700)], most=3)
    with pytest.raises(QuotaExhausted):
        index_of(apollo, ledger).find(["deals/699"], None)
    apollo.most, apollo.asked = None, []
    del apollo.deals[:300]

    found = index_of(apollo, ledger, run=1).find([f"deals/{n}" for n in range(300, 700)], None)

    assert len(found) == 400
    assert apollo.asked == [3, 2, 1, 2, 3, 4]


def test_a_pass_of_an_earlier_release_begins_anew(ledger: Ledger) -> None:
    ledger.save_walk(f"team/deals/{FIELD}", Walk(3, f"{START.isoformat()} 200 250 250"))
    apollo = Apollo([deal(n) for n in range(250)])

    assert index_of(apollo, ledger, run=1).find(["deals/0"], None)
    assert apollo.asked == [1, 2, 3]


def test_deals_that_are_deleted_before_the_limit_make_the_next_run_read_all_again(
    ledger: Ledger,
) -> None:
    apollo = Apollo([deal(n) for n in range(500)], most=3)

    def delete(page: int) -> None:
        if page == 3:
            del apollo.deals[0]

    apollo.before = delete
    with pytest.raises(QuotaExhausted):
        index_of(apollo, ledger).find(["deals/499"], None)
    apollo.before, apollo.most = lambda page: None, None

    found = index_of(apollo, ledger, run=1).find([f"deals/{n}" for n in range(1, 500)], None)

    assert len(found) == 499


def test_a_deal_that_moves_to_a_page_that_was_read_is_found(ledger: Ledger) -> None:
    apollo = Apollo([deal(n) for n in range(250)])

    def move(page: int) -> None:
        if page == 2:
            apollo.before = lambda page: None
            apollo.deals.insert(0, apollo.deals.pop())

    apollo.before = move
    assert index_of(apollo, ledger).find(["deals/249"], None)


@given(
    newest_first=st.booleans(),
    kind=st.sampled_from(["delete", "move"]),
    page=st.integers(1, 4),
    place=st.integers(0, 319),
    makes=st.sets(st.integers(1, 4)),
)
def test_no_deal_is_missed_while_others_make_deals_and_one_is_deleted_or_moved(
    newest_first: bool, kind: str, page: int, place: int, makes: set[int]
) -> None:
    apollo = Apollo([deal(n) for n in range(320)])
    left = {page}
    new = map(deal, range(1000, 2000))

    def disturb(asked: int) -> None:
        if asked in left:
            left.clear()
            one = apollo.deals.pop(place)
            if kind == "move" and newest_first:
                apollo.deals.insert(0, one)
        elif asked in makes:
            apollo.deals.insert(0 if newest_first else len(apollo.deals), next(new))

    apollo.before = disturb
    wanted = [f"deals/{n}" for n in range(320)]

    found = index_of(apollo).find(wanted, None)

    there = {one["typed_custom_fields"][FIELD] for one in apollo.deals}
    assert there & set(wanted) <= set(found)


def test_a_search_that_hides_deals_proves_nothing(ledger: Ledger) -> None:
    apollo = Apollo([deal(n) for n in range(150)])
    apollo.claims = 151

    with pytest.raises(RunError, match="twice"):
        index_of(apollo, ledger).find(["deals/999"], None)


def test_beyond_what_apollo_shows_an_unknown_mark_proves_nothing(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deal_index, "MOST_PAGES", 3)
    apollo = Apollo([deal(n) for n in range(301)])

    index = index_of(apollo, ledger)

    assert index.find(["deals/7", "deals/999"], None).keys() == {"deals/7"}
    assert not index.has_all
    assert apollo.asked == [1, 2, 3]
    assert not index_of(apollo, ledger, run=1).find(["deals/999"], None)


def test_few_deals_are_read_by_themselves_and_many_by_pages() -> None:
    apollo = Apollo([deal(n) for n in range(250)])
    few, many = index_of(apollo), index_of(apollo)

    assert len(few.read([deal(n)["id"] for n in (1, 2, 999)])) == 2
    assert apollo.asked == []
    assert len(many.read([deal(n)["id"] for n in range(200)])) == 200
    assert apollo.asked == [1, 2]


def test_a_changed_deal_that_stands_behind_others_now_hides_no_deletions(ledger: Ledger) -> None:
    apollo = Apollo([deal(n) for n in range(300)], most=2)
    with pytest.raises(QuotaExhausted):
        index_of(apollo, ledger).find(["deals/299"], None)
    apollo.most = None
    last_of_a_page = 99
    left = [*range(last_of_a_page), *range(last_of_a_page + 1, 300)][150:]
    apollo.deals = [deal(n) for n in (*left, last_of_a_page)]

    found = index_of(apollo, ledger, run=1).find([f"deals/{n}" for n in left], None)

    assert len(found) == len(left)
