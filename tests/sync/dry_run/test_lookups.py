from __future__ import annotations

import math
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_apollo.apollo import Answer, EndpointForbidden, Request, RequestRefused
from target_apollo.model.objects.registry import ACCOUNT, CONTACT, ObjectKind
from target_apollo.sync.dry_run import lookups as lookups_module
from target_apollo.sync.dry_run.known_records import KnownRecords, dedupe_keys
from target_apollo.sync.dry_run.lookups import MOST_LOOKUPS, RecordLookups

Json = dict[str, Any]


class Apollo:
    """A team's contacts and accounts behind search and read, oldest first."""

    def __init__(self, contacts: list[Json] | None = None, accounts: list[Json] | None = None):
        self._held = {"contacts": contacts or [], "accounts": accounts or []}
        self.requests: list[Request] = []
        self.forbidden = False

    def send(self, request: Request) -> Answer:
        self.requests.append(request)
        if self.forbidden:
            raise EndpointForbidden(request.endpoint)
        name = request.path.split("/")[1]
        if request.method == "GET":
            wanted = request.path.split("/")[2]
            for one in self._held[name]:
                if one["id"] == wanted:
                    return self._answer({name[:-1]: one})
            raise RequestRefused(request.endpoint, status=422, message="does not exist")
        body = request.body or {}
        words = str(body.get("q_keywords") or body.get("q_organization_name") or "").lower()
        hits = [
            one
            for one in self._held[name]
            if words in f"{one.get('name', '')} {one.get('email', '')}".lower()
        ]
        page, size = int(str(body["page"])), int(str(body["per_page"]))
        pages = max(1, math.ceil(len(hits) / size))
        return self._answer(
            {
                name: hits[(page - 1) * size : page * size],
                "pagination": {"page": page, "total_pages": pages},
            }
        )

    @staticmethod
    def _answer(body: Json) -> Answer:
        return Answer(200, body, attempts=1, seconds=0.0)


def contacts(count: int) -> list[Json]:
    return [{"id": f"{n:024x}", "email": f"p{n}@firm.com"} for n in range(count)]


def known(records: KnownRecords, *emails: str) -> list[bool]:
    return [records.first(ObjectKind.CONTACTS, [f"email {email}"]) is not None for email in emails]


def wanted(*emails: str) -> list[Json]:
    return [{"id": f"new {email}", "email": email} for email in emails]


def test_a_small_team_is_known_after_one_request() -> None:
    apollo, records = Apollo(contacts(100)), KnownRecords()
    lookups = RecordLookups(apollo, records)

    lookups.look_for(CONTACT, wanted("p7@firm.com", "new@firm.com"))
    lookups.look_for(CONTACT, wanted("newer@firm.com"))

    assert lookups.sent == 1
    assert lookups.knows_all(ObjectKind.CONTACTS)
    assert known(records, "p7@firm.com", "new@firm.com") == [True, False]


def test_a_few_rows_of_a_large_team_are_asked_for_one_by_one() -> None:
    apollo, records = Apollo(contacts(5_000)), KnownRecords()
    lookups = RecordLookups(apollo, records)

    lookups.look_for(CONTACT, wanted("p4999@firm.com", "new@firm.com"))

    assert lookups.sent == 3
    assert not lookups.knows_all(ObjectKind.CONTACTS)
    assert known(records, "p4999@firm.com", "new@firm.com") == [True, False]
    assert not lookups.not_looked_up


def test_many_rows_are_cheaper_by_reading_everything() -> None:
    apollo, records = Apollo(contacts(5_000)), KnownRecords()
    lookups = RecordLookups(apollo, records)

    lookups.look_for(CONTACT, wanted(*[f"p{n}@firm.com" for n in range(100)]))

    assert lookups.sent == 50
    assert lookups.knows_all(ObjectKind.CONTACTS)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 100), st.lists(st.integers(1, 40), max_size=20))
def test_the_way_taken_costs_at_most_twice_the_cheaper_one(pages: int, flushes: list[int]) -> None:
    records = KnownRecords()
    rows = 0
    with patch.object(lookups_module, "PER_PAGE", 2):
        lookups = RecordLookups(Apollo(contacts(2 * pages)), records)
        for count in flushes:
            lookups.look_for(CONTACT, wanted(*[f"n{rows + n}@firm.com" for n in range(count)]))
            rows += count

    assert lookups.sent <= 2 * min(rows, pages) + 1
    assert not lookups.not_looked_up
    records.close()


@settings(deadline=None, max_examples=30)
@given(st.integers(101, 1_000), st.integers(1, 300))
def test_never_more_is_asked_than_the_bound(pages: int, rows: int) -> None:
    records = KnownRecords()
    with patch.object(lookups_module, "PER_PAGE", 2):
        lookups = RecordLookups(Apollo(contacts(2 * pages)), records)
        lookups.look_for(CONTACT, wanted(*[f"n{n}@firm.com" for n in range(rows)]))

    assert lookups.sent <= MOST_LOOKUPS
    asked = lookups.sent - 1
    assert lookups.not_looked_up[ObjectKind.CONTACTS] == rows - asked
    assert bool(lookups.ended_because) is (rows > asked)
    records.close()


def test_a_hit_counts_by_its_own_address_only() -> None:
    others = [{"id": f"{n:024x}", "email": f"x{n}@firm.com"} for n in range(900)]
    apollo = Apollo([*others, {"id": "f" * 24, "email": "not-p1@firm.com"}])
    records = KnownRecords()

    RecordLookups(apollo, records).look_for(CONTACT, wanted("p1@firm.com"))

    assert known(records, "p1@firm.com") == [False]
    assert known(records, "not-p1@firm.com") == [True]


def test_an_account_is_looked_for_by_its_name_and_then_by_its_domain() -> None:
    others = [{"id": f"{n:024x}", "name": f"x{n}", "domain": f"x{n}.com"} for n in range(900)]
    apollo = Apollo(accounts=[*others, {"id": "f" * 24, "name": "acme corp", "domain": "acme.com"}])
    records = KnownRecords()

    RecordLookups(apollo, records).look_for(
        ACCOUNT, [{"id": "new", "name": "The Acme Corporation", "domain": "acme.com"}]
    )

    assert records.ids_of(ObjectKind.ACCOUNTS, "domain acme.com") == ["f" * 24]
    words = [(one.body or {}).get("q_organization_name") for one in apollo.requests]
    assert words == [None, "The Acme Corporation", "acme"]


def test_an_id_that_is_not_there_is_refused_as_apollo_refuses_it() -> None:
    lookups = RecordLookups(Apollo(contacts(900)), KnownRecords())

    with pytest.raises(RequestRefused):
        lookups.look_for_id(CONTACT, "5" * 24, trusted=False)


def test_an_id_of_the_ledger_is_no_question_of_its_own() -> None:
    apollo = Apollo(contacts(900))
    RecordLookups(apollo, KnownRecords()).look_for_id(CONTACT, "5" * 24, trusted=True)

    assert [request.method for request in apollo.requests] == ["POST"]


def test_what_the_dry_run_made_of_a_record_outlives_a_look_up() -> None:
    records = KnownRecords()
    changed = {"id": f"{0:024x}", "email": "p0@firm.com", "title": "CEO"}
    records.put(ObjectKind.CONTACTS, changed, dedupe_keys(CONTACT, changed))

    RecordLookups(Apollo(contacts(10)), records).look_for(CONTACT, wanted("new@firm.com"))

    assert records.get(ObjectKind.CONTACTS, changed["id"]) == changed


def test_a_key_that_may_not_search_ends_the_looking_up() -> None:
    apollo = Apollo(contacts(10))
    apollo.forbidden = True
    lookups = RecordLookups(apollo, KnownRecords())

    lookups.look_for(CONTACT, wanted("a@firm.com", "b@firm.com"))
    lookups.look_for(CONTACT, wanted("c@firm.com"))

    assert lookups.sent == 1
    assert lookups.not_looked_up == {ObjectKind.CONTACTS: 3}
    assert "403" in lookups.ended_because
