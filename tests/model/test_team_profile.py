"""A profile is read as it was written, and tells nothing where nothing was asked."""

from __future__ import annotations

import pytest

from target_apollo.model.team_profile import (
    NO_PROFILE,
    ProfileUnusable,
    TeamProfile,
    host_of,
    read_profile,
    team_digest,
)

URL = "https://api.apollo.io/api/v1"


def test_a_profile_is_read_as_it_was_written() -> None:
    answers = {"cleared_by": "null", "a later question": "an answer"}
    profile = TeamProfile(team_digest("t1"), host_of(URL), "2026-11-29T12:00:00Z", "1", answers)
    assert read_profile(profile.as_text()) == profile


def test_a_profile_is_of_one_team_and_one_address() -> None:
    profile = TeamProfile(team_digest("t1"), host_of(URL))
    assert profile.is_of("t1", URL)
    assert not profile.is_of("t2", URL)
    assert not profile.is_of("t1", "https://api.apollo.example/api/v1")


def test_without_an_answer_nothing_follows() -> None:
    for profile in (NO_PROFILE, TeamProfile(answers={"matched_in_bulk": "something new"})):
        assert not profile.overwrites_matched("contacts")
        assert not profile.duplicates_matched("contacts")
        assert not profile.puts_accounts
        assert not profile.clears_with_null
        assert not profile.finds_no_words
        assert not profile.owner_reaches_existing


def test_contacts_and_accounts_have_answers_of_their_own() -> None:
    profile = TeamProfile(answers={"accounts_matched_in_bulk": "overwritten"})
    assert profile.overwrites_matched("accounts")
    assert not profile.overwrites_matched("contacts")


@pytest.mark.parametrize("refused", ["not_found", "not_allowed"])
def test_put_is_the_route_only_where_it_is_taken_and_patch_is_not(refused: str) -> None:
    assert TeamProfile(
        answers={"patch_accounts": refused, "put_accounts": "accepted"}
    ).puts_accounts
    assert not TeamProfile(
        answers={"patch_accounts": refused, "put_accounts": refused}
    ).puts_accounts
    both = {"patch_accounts": "accepted", "put_accounts": "accepted"}
    assert not TeamProfile(answers=both).puts_accounts


def test_deep_nesting_is_a_broken_profile() -> None:
    with pytest.raises(ProfileUnusable):
        read_profile("[" * 100_000)
