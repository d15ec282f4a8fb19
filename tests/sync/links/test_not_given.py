"""What a record was not given of its row."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace as with_values

from target_apollo.ledger import Link, LinkStatus, match_hash
from target_apollo.model.objects.registry import CONTACT
from target_apollo.model.rows import Row
from target_apollo.sync.links.not_given import (
    ALL_GIVEN,
    NotGiven,
    as_in_link,
    kept_from,
    of_existing,
    of_made_before,
    seen_in,
)
from target_apollo.sync.links.recall import RowHistory

ADA, BOB = "ada@example.com", "bob@example.com"
ADA_ID, BOB_ID = "a" * 24, "b" * 24


def row(**values: str | None) -> Row:
    return Row(1, (1,), ADA, {"email": ADA, "title": "A", **values})


def link(**own: Any) -> Link:
    plain = Link("1", ADA_ID, "hash", LinkStatus.UPDATED, None, None, None, "run-1")
    return with_values(plain, **{"match_hash": match_hash(BOB), **own})


def kept(answer: dict[str, Any] | None = None, **own: Any) -> NotGiven:
    """What a policy keeps that lets no address through."""
    allowed = with_values(row(), values={"title": "A"})
    history = RowHistory("1", link=link(**own))
    return kept_from(CONTACT, row(), allowed, ADA_ID, answer, history, stage=False)


def test_a_row_of_which_all_may_be_written_lacks_nothing() -> None:
    assert kept_from(CONTACT, row(), row(), ADA_ID, None, RowHistory("1"), stage=False) == ALL_GIVEN


def test_a_kept_address_leaves_the_record_the_one_in_its_link() -> None:
    assert kept() == NotGiven(address=True, held=match_hash(BOB))


def test_the_address_of_another_record_says_nothing() -> None:
    assert kept(apollo_id=BOB_ID) == NotGiven(address=True, held=None)


def test_an_answer_that_shows_the_address_decides() -> None:
    carl = "carl@example.com"
    assert kept({"id": ADA_ID, "email": carl}).held == match_hash(carl)
    assert kept({"id": ADA_ID, "email": ADA.upper()}) == ALL_GIVEN
    assert kept({"id": ADA_ID, "title": "A"}).held == match_hash(BOB)


def test_an_address_that_the_row_does_not_write_is_not_kept() -> None:
    # The record has it already, so it was left out of the update.
    without = with_values(row(), values={"title": "A"})
    history = RowHistory("1", link=link())
    found = kept_from(CONTACT, without, without, ADA_ID, None, history, stage=True)
    assert found == NotGiven(stage=True)


def test_an_answer_changes_nothing_where_the_address_was_given() -> None:
    assert seen_in(CONTACT, row(), ALL_GIVEN, {"email": BOB}) == ALL_GIVEN


def test_an_existing_record_has_the_address_of_the_row_if_it_shows_it() -> None:
    assert of_existing(CONTACT, row(), {"email": ADA}) == ALL_GIVEN
    assert of_existing(CONTACT, row(), {"email": BOB}).held == match_hash(BOB)


@pytest.mark.parametrize(
    ("own", "answer", "differs"),
    [
        ({}, {}, False),
        ({"title": "B"}, {}, True),
        ({"title": None}, {}, True),
        ({}, {"email": BOB}, True),
        # Not in the answer, so perhaps of another state of the row.
        ({"organization_name": "Acme"}, {}, True),
        # Written afterwards.
        ({"mobile_phone": "+491711111111", "website_url": "https://a.com"}, {}, False),
    ],
)
def test_a_record_made_before_is_compared_in_what_a_creation_carries(
    own: dict[str, str | None], answer: dict[str, Any], differs: bool
) -> None:
    shown = {"id": ADA_ID, "email": ADA, "title": "A", "phone_numbers": [], **answer}
    assert of_made_before(CONTACT, row(**own), shown).values is differs


def test_a_custom_field_that_differs_is_noticed() -> None:
    scored = with_values(row(), custom={"c" * 24: "7"})
    shown = {"id": ADA_ID, "email": ADA, "title": "A"}
    assert of_made_before(CONTACT, scored, {**shown, "typed_custom_fields": {}}).values
    held = {**shown, "typed_custom_fields": {"c" * 24: "7"}}
    assert not of_made_before(CONTACT, scored, held).values


def test_an_unchanged_row_lacks_what_its_link_says() -> None:
    assert as_in_link(row(), link(match_hash=match_hash(ADA))) == ALL_GIVEN
    assert as_in_link(row(), link(match_hash=None)) == ALL_GIVEN
    apart = link(row_hash=match_hash(ADA))
    assert as_in_link(row(), apart) == NotGiven(address=True, held=match_hash(BOB))
