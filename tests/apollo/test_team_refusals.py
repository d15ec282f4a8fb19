from __future__ import annotations

import pytest

from target_apollo.apollo.team_refusals import (
    TEAM_REFUSALS,
    lacks_plan,
    team_refusal_in,
    words_without_values,
)

ROOM, CREDITS, UNPAID, LOCKED = TEAM_REFUSALS


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        ("You have reached the limit of 3 contacts of your plan. Please upgrade your plan.", ROOM),
        ("You have reached your contact limit.", ROOM),
        ("Account limit exceeded", ROOM),
        ("Your team's storage limit has been reached.", ROOM),
        ("The maximum number of saved contacts is 25,000.", ROOM),
        ("Not enough credits.", CREDITS),
        ("You don’t have enough export credits to do this.", CREDITS),
        ("Credit limit reached", CREDITS),
        ("Your trial has expired.", UNPAID),
        ("Your subscription was cancelled.", UNPAID),
        ("Your plan is past due.", UNPAID),
        ("Payment required", UNPAID),
        ("Your account has been suspended.", LOCKED),
        ("This team is locked", LOCKED),
        ("Your user has been deactivated; contact your admin.", LOCKED),
        ("This API key was revoked.", LOCKED),
    ],
)
def test_words_about_the_team_are_known(words: str, refusal: object) -> None:
    assert team_refusal_in(422, words) is refusal
    assert team_refusal_in(403, words) is refusal


@pytest.mark.parametrize(
    "words",
    [
        "There is something wrong with your request.",
        "Please limit your array to 100 contacts or fewer.",
        "Please limit your array to fewer than 1000.",
        "Page * per page number is over threshold.",
        "The maximum number of api calls allowed for api/v1/contacts is 600 times per hour. Please "
        "upgrade your plan from https://app.apollo.io/#/settings/plans/upgrade.",
        "The maximum number of contacts per request is 100.",
        "Parameters misconfigured. … is not a valid ID",
        "This contact has been deleted.",
        "Cannot update contact as it is deleted.",
        "Oops! This contact does not exist in Apollo.",
        "You are not authorized to view this page.",
        "You do not have permission to access lists. Contact your admin to get access.",
        "Async processing is not permitted.",
        "title exceeds the limit of 255 characters",
        "Validation failed: phone is over the maximum length",
        "Please specify at least a name or domain.",
        "Hot leads already exists",
    ],
)
def test_words_about_a_row_or_request_are_not_taken_for_the_team(words: str) -> None:
    assert team_refusal_in(422, words) is None


def test_a_402_is_about_the_team_whatever_it_says() -> None:
    assert team_refusal_in(402, "No.") is UNPAID


def test_words_of_other_statuses_are_not_looked_at() -> None:
    assert team_refusal_in(500, "Your trial has expired.") is None


def test_a_plan_without_the_endpoint_is_told_apart() -> None:
    words = "This endpoint is only available to Apollo users on paid plans."
    assert lacks_plan(words)
    assert team_refusal_in(403, words) is None


def test_a_record_that_is_called_like_a_refusal_is_none() -> None:
    sent = {"contacts": [{"name": "Trial has expired Ltd", "email": "a@b.example"}]}
    words = words_without_values("Trial has expired Ltd is taken by a@b.example", sent)

    assert words == "… is taken by …"
    assert team_refusal_in(422, words) is None


def test_nothing_of_a_record_stays_in_the_words() -> None:
    words = words_without_values(
        'Ann O\'Neil <ann@x.example> ("Engineer")\nis 64b7f0c2a1d3e4f5a6b7c8d9: contact limit '
        "reached",
        {"first_name": "Ann", "last_name": "O'Neil"},
        None,
    )

    assert "contact limit reached" in words
    assert not any(part in words for part in ("Ann", "O'Neil", "@", "Engineer", "64b7", "\n"))
