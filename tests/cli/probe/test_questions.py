"""A probe finds out what each option of the sandbox is set to, or says why it does not ask."""

from __future__ import annotations

import dataclasses
import enum
from collections import Counter
from typing import Any

import pytest

from target_apollo.cli.probe.own_records import MOST_RECORDS
from target_apollo.cli.probe.questions import CANNOT_BE_ASKED, QUESTIONS, price
from target_apollo.sandbox import Sandbox, SandboxOptions
from target_apollo.sandbox.options import (
    AlikeInBatch,
    BulkAnswers,
    BulkFailure,
    ClearedBy,
    CustomFieldErrors,
    GoneInBulk,
    InvalidEmail,
    KeywordSearch,
    MatchedInBulk,
    OptionsShown,
    TakenEmail,
    UnknownId,
    UpdateRoute,
)
from tests.cli.probe.conftest import Run
from tests.helpers.new_sandbox import new_sandbox

#: Options that are no behaviour of Apollo's, but the sandbox's own, or limits that headers tell.
OF_THE_SANDBOX = {
    "strict", "api_keys", "store", "seed", "plan", "minute_limit", "hour_limit", "day_limit",
    "minute_seconds", "hour_seconds", "day_seconds", "keep_requests",
}  # fmt: skip
#: Strict mode refuses every value that is no text, and the question would hear that.
UNKNOWN_IN_STRICT = {"custom_values_must_be_strings"}
DEFAULTS = SandboxOptions()


def as_answer(name: str, value: Any) -> str:
    if name == "search_lag_seconds":
        return {0.0: "none", 0.2: "short", 60.0: "long"}[value]
    if isinstance(value, enum.Enum):
        return str(value.value)
    return str(value).lower()


def values_of(name: str) -> list[Any]:
    default = getattr(DEFAULTS, name)
    if isinstance(default, enum.Enum):
        return list(type(default))
    return [False, True] if isinstance(default, bool) else [0.0, 0.2, 60.0]


ASKED = [one.name for one in QUESTIONS if hasattr(DEFAULTS, one.name)]
CASES = [
    (name, value) for name in ASKED for value in values_of(name) if value != getattr(DEFAULTS, name)
]


def with_team(apollo: Sandbox) -> None:
    """What some questions need: a second user, and custom fields of contacts."""
    apollo.store.add_user(email="secret-rep@team-of-secrets.com")
    apollo.store.add_custom_field("contact", "Secret score", "number")
    options = ["Secret option", "Another secret"]
    apollo.store.add_custom_field("contact", "Secrets", "multipicklist", options)


def test_every_option_of_the_sandbox_is_asked_about_or_has_its_reason() -> None:
    options = {field.name for field in dataclasses.fields(SandboxOptions)}
    assert set(ASKED) | set(CANNOT_BE_ASKED) == options - OF_THE_SANDBOX
    assert not set(ASKED) & set(CANNOT_BE_ASKED)


def test_a_probe_finds_the_defaults_with_no_more_requests_than_it_tells(probe: Run) -> None:
    with new_sandbox(SandboxOptions(strict=True)) as apollo:
        with_team(apollo)

        done = probe(apollo)

        assert done.exit_code == 0
        assert {
            name: done.answers.get(name) for name in ASKED if name not in UNKNOWN_IN_STRICT
        } == {
            name: as_answer(name, getattr(DEFAULTS, name))
            for name in ASKED
            if name not in UNKNOWN_IN_STRICT
        }
        check_price(apollo)


def check_price(apollo: Sandbox) -> None:
    told = price()
    sent = Counter(seen.endpoint for seen in apollo.requests)
    assert {
        endpoint: count for endpoint, count in sent.items() if count > told.get(endpoint, 0)
    } == {}


def check_found(probe: Run, options: dict[str, Any], *, strict: bool = True) -> None:
    """Probe twice: both find the options, and the second makes no more records."""
    with new_sandbox(SandboxOptions(strict=strict, **options)) as apollo:
        with_team(apollo)
        records: list[list[int]] = []
        for _ in range(2):
            done = probe(apollo)

            found = {name: done.answers.get(name) for name in options}
            expected = {name: as_answer(name, value) for name, value in options.items()}
            assert found == expected, done.output
            check_price(apollo)
            apollo.reset_log()
            records.append([len(apollo.store.contacts()), len(apollo.store.accounts())])
        assert records[0] == records[1]
        assert sum(records[0]) <= MOST_RECORDS


#: Together they have every value of every option that is asked about.
TOGETHER: dict[str, dict[str, Any]] = {
    "one": {
        "alike_in_batch": AlikeInBatch.BOTH_CREATED, "labels_touch_existing": False,
        "owner_touches_existing": True, "bulk_failure": BulkFailure.GOOD_BEFORE_WRITTEN,
        "invalid_email": InvalidEmail.ACCEPTED, "taken_email": TakenEmail.REFUSED,
        "bulk_answers": BulkAnswers.DOCUMENTED, "custom_field_errors": CustomFieldErrors.LIST,
        "unknown_id": UnknownId.NOT_FOUND, "gone_in_bulk": GoneInBulk.AS_SINGLE,
        "owners_and_stages_skip_gone": False, "bad_id_names_value": False,
        "rewrites_linkedin": True, "put_contacts": UpdateRoute.NOT_FOUND,
        "put_accounts": UpdateRoute.ACCEPTED, "patch_accounts": UpdateRoute.NOT_FOUND,
        "gzip_answers": False, "single_takes_owner": True, "bulk_update_takes_stage": True,
        "cleared_by": ClearedBy.NULL, "list_counts_late": True, "shuffle_answers": True,
        "keyword_search": KeywordSearch.NEAR_HITS, "options_shown": OptionsShown.ARRAY,
        "search_lag_seconds": 0.2,
    },
    "two": {
        "alike_in_batch": AlikeInBatch.SECOND_DROPPED, "invalid_email": InvalidEmail.RESPELLED,
        "custom_field_errors": CustomFieldErrors.SILENT, "put_contacts": UpdateRoute.NOT_ALLOWED,
        "put_accounts": UpdateRoute.ACCEPTED, "patch_accounts": UpdateRoute.NOT_ALLOWED,
        "cleared_by": ClearedBy.EMPTY_STRING, "matched_in_bulk": MatchedInBulk.OVERWRITTEN,
        "keyword_search": KeywordSearch.NOTHING,
    },
    "three": {
        "invalid_email": InvalidEmail.REFUSED, "matched_in_bulk": MatchedInBulk.DUPLICATED,
        "put_accounts": UpdateRoute.NOT_ALLOWED,
    },
    "four": {"invalid_email": InvalidEmail.DROPPED, "search_lag_seconds": 60.0},
}  # fmt: skip


@pytest.mark.parametrize("together", TOGETHER)
def test_a_probe_finds_what_several_options_are_set_to(together: str, probe: Run) -> None:
    check_found(probe, TOGETHER[together])


def test_the_options_together_have_every_value() -> None:
    together = [(name, value) for one in TOGETHER.values() for name, value in one.items()]
    assert [
        case for case in CASES if case[0] not in UNKNOWN_IN_STRICT and case not in together
    ] == []


@pytest.mark.parametrize("must_be_strings", [False, True])
def test_a_probe_finds_whether_custom_values_must_be_text(
    must_be_strings: bool, probe: Run
) -> None:
    check_found(probe, {"custom_values_must_be_strings": must_be_strings}, strict=False)


@pytest.mark.full
@pytest.mark.parametrize(
    ("name", "value"), CASES, ids=lambda part: str(getattr(part, "value", part))
)
def test_a_probe_finds_what_an_option_is_set_to(name: str, value: Any, probe: Run) -> None:
    check_found(probe, {name: value}, strict=name not in UNKNOWN_IN_STRICT)
