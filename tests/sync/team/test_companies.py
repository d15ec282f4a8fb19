"""The pass through Apollo's accounts, however often it is cut off and accounts come and go."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta, timezone
from typing import Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from target_apollo.apollo import ApolloClient, QuotaExhausted
from target_apollo.apollo.answers import RecordPage
from target_apollo.ledger import Walk
from target_apollo.sync.dry_run.ledger import RunLedger
from target_apollo.sync.team.companies import Companies

#: Accounts on a page.
SIZE = 3
TEAM = "team"


class Apollo:
    """Accounts by domain in order of creation, shown a few a page until the limits are reached."""

    def __init__(self) -> None:
        self.domains: list[str] = []
        self.made = 0
        self.allowed = 10_000
        self.pages_read = 0

    def make(self, count: int) -> None:
        self.domains += [f"firm{self.made + n}.com" for n in range(count)]
        self.made += count

    def newest_page(self, _: object, page: int) -> RecordPage:
        if not self.allowed:
            raise QuotaExhausted.__new__(QuotaExhausted)
        self.allowed -= 1
        self.pages_read += 1
        shown = self.domains[::-1][(page - 1) * SIZE : page * SIZE]
        pages = -(-len(self.domains) // SIZE)
        return RecordPage([self._account(domain) for domain in shown], pages)

    def search(self, *_: object) -> list[Any]:
        return []

    def _account(self, domain: str) -> dict[str, Any]:
        number = int(domain.removeprefix("firm").removesuffix(".com"))
        # Days apart, so that what is newer than the last pass is told from what it saw.
        created_at = datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(days=number)
        return {"id": f"id-{number}", "domain": domain, "created_at": created_at.isoformat()}


class Kept:
    """What a ledger keeps of passes."""

    def __init__(self) -> None:
        self.ids: dict[str, str] = {}
        self.held: Walk | None = None

    def company_ids(self, _: str, hashes: Collection[str]) -> dict[str, str]:
        return {one: self.ids[one] for one in hashes if one in self.ids}

    def account_ids_by_match(self, _: str, hashes: Collection[str]) -> dict[str, str]:
        return {}

    def save_companies(self, _: str, ids: dict[str, str]) -> None:
        self.ids |= ids

    def walk(self, _: str) -> Walk | None:
        return self.held

    def save_walk(self, _: str, walk: Walk) -> None:
        self.held = walk


def run(apollo: Apollo, ledger: Kept | None) -> Companies:
    """The companies of a run."""
    companies = Companies(cast("ApolloClient", apollo))
    if ledger is not None:
        companies.use_ledger(cast("RunLedger", ledger), TEAM, trusts_ledger=True)
    return companies


@pytest.fixture
def apollo() -> Apollo:
    return Apollo()


def test_a_pass_stops_once_every_domain_is_found(apollo: Apollo) -> None:
    apollo.make(90)
    companies = run(apollo, Kept())
    companies.look_up([f"firm{n}.com" for n in (89, 88, 87, 86)], may_wait=False)
    assert apollo.pages_read == 2
    assert not companies.is_read


def test_a_later_batch_goes_on_with_the_pass(apollo: Apollo) -> None:
    apollo.make(9)
    companies = run(apollo, None)
    companies.look_up([f"firm{n}.com" for n in (8, 7, 6, 5)], may_wait=False)
    companies.look_up([f"firm{n}.com" for n in (0, 1, 2, 3)], may_wait=False)
    assert apollo.pages_read == 3
    assert companies.find("firm0.com") == "id-0"


def test_an_unknown_domain_costs_nothing_more_after_the_pass(apollo: Apollo) -> None:
    apollo.make(9)
    companies = run(apollo, None)
    companies.look_up([f"none{n}.com" for n in range(9)], may_wait=False)
    companies.look_up([f"more{n}.com" for n in range(9)], may_wait=False)
    assert apollo.pages_read == 3
    assert companies.is_read


def test_the_limits_end_the_run_where_rows_may_not_wait(apollo: Apollo) -> None:
    apollo.make(9)
    apollo.allowed = 1
    with pytest.raises(QuotaExhausted):
        run(apollo, None).look_up([f"none{n}.com" for n in range(9)], may_wait=False)


def test_what_rows_that_may_wait_did_not_find_is_not_missing_for_others(apollo: Apollo) -> None:
    apollo.make(9)
    apollo.allowed = 1
    companies = run(apollo, None)
    wanted = [f"none{n}.com" for n in range(9)]
    companies.look_up(wanted, may_wait=True)
    assert companies.find("none0.com") is None

    for domains in (wanted, ["another.com"]):
        with pytest.raises(QuotaExhausted):
            companies.look_up(domains, may_wait=False)


@example([(("make", 0), 3), (("make", 5), 6), (("make", 5), 6), (("delete", 4), 0)])
@example(
    [(("make", 0), 1), (("make", 1), 3), (("make", 1), 6), (("make", 9), 3), (("delete", 4), 0)]
)
@example([(("make", 0), 1), (("make", 10), 3), (("delete", 4), 0)])
@given(
    st.lists(
        st.tuples(
            st.integers(0, 12).map(lambda n: ("make", n))
            | st.integers(0, 7).map(lambda n: ("delete", n)),
            st.integers(0, 6),
        ),
        max_size=8,
    )
)
def test_a_pass_misses_no_account(steps: list[tuple[tuple[str, int], int]]) -> None:
    apollo, ledger = Apollo(), Kept()
    apollo.make(20)
    wanted = [f"none{n}.com" for n in range(5)]
    for (kind, count), allowed in steps:
        if kind == "make":
            apollo.make(count)
        else:
            # The newest: those that others move up for.
            del apollo.domains[max(len(apollo.domains) - count, 0) :]
        apollo.allowed = allowed
        run(apollo, ledger).look_up(wanted, may_wait=True)
    apollo.allowed = 10_000

    last = run(apollo, ledger)
    last.look_up([*wanted, *apollo.domains], may_wait=False)

    assert [last.find(domain) for domain in apollo.domains] == [
        f"id-{domain.removeprefix('firm').removesuffix('.com')}" for domain in apollo.domains
    ]
    assert last.is_read
