from __future__ import annotations

import signal
from datetime import datetime, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from singer_sdk.exceptions import (
    ConfigValidationError,
    InvalidRecord,
    MapExpressionError,
    MissingKeyPropertiesError,
    RecordsWithoutSchemaException,
)
from singer_sdk.singerlib.exceptions import InvalidInputLine

from target_apollo.apollo import (
    AnswerLost,
    CredentialsRefused,
    EndpointForbidden,
    QuotaExhausted,
    RequestRefused,
    RunStopped,
)
from target_apollo.config.settings import SettingsError
from target_apollo.ledger import AnotherRunActive
from target_apollo.sync.exit import RunEnd, RunError, check_reject_limit, ending_of
from target_apollo.sync.source_schema import UnusableSchema

ENDPOINT = "POST /contacts/bulk_create"
LATER = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)


def test_an_input_that_came_to_its_end_ends_the_run_with_0() -> None:
    assert ending_of(None, 0) == RunEnd(0)


@pytest.mark.parametrize(
    ("problem", "exit_code"),
    [
        (QuotaExhausted(ENDPOINT, retry_at=LATER), 3),
        (CredentialsRefused(ENDPOINT, setting="api_key"), 2),
        (EndpointForbidden(ENDPOINT), 2),
        (SettingsError(["The setting 'streams' is wrong."]), 2),
        (AnswerLost(ENDPOINT, reason="answered 502", attempts=4), 1),
        (RequestRefused(ENDPOINT, status=404, from_apollo=False), 1),
        (RunStopped(ENDPOINT), 1),
        (InvalidInputLine("Line 3 is not JSON."), 1),
        (UnusableSchema("The SCHEMA of stream 'contacts' has no 'properties'."), 2),
        (RunError("Too many records were rejected."), 1),
        (RunError("unknown_fields is 'fail'.", exit_code=2), 2),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_a_run_that_can_t_go_on_ends_with_the_sentence_that_says_why(
    problem: Exception, exit_code: int
) -> None:
    ending = ending_of(problem, 0)
    assert ending is not None
    assert (ending.exit_code, ending.because) == (exit_code, str(problem))


@pytest.mark.parametrize(
    ("problem", "exit_code"),
    [
        (QuotaExhausted(ENDPOINT, retry_at=LATER), 3),
        (AnotherRunActive("Another run writes the stream.", retry_at=LATER), 2),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_a_run_whose_cause_passes_by_itself_says_when(problem: Exception, exit_code: int) -> None:
    assert ending_of(problem, 0) == RunEnd(exit_code, str(problem), LATER)


def test_wrong_settings_are_all_named() -> None:
    problem = ConfigValidationError(
        "The settings are wrong.", errors=["There is no setting 'a'.", "There is no setting 'b'."]
    )
    assert ending_of(problem, 0) == RunEnd(2, "There is no setting 'a'. There is no setting 'b'.")


@pytest.mark.parametrize(
    "problem",
    [
        InvalidRecord("'email' breaks the rule 'type' of the stream's schema", {}),
        MissingKeyPropertiesError("It lacks a key property."),
        RecordsWithoutSchemaException("It came before its SCHEMA."),
        MapExpressionError("It can't be mapped."),
    ],
    ids=lambda problem: type(problem).__name__,
)
def test_a_bad_record_that_ends_the_run_is_no_defect_of_the_program(problem: Exception) -> None:
    # With on_record_error "fail" the first bad record ends the run with the SDK's own exception.
    ending = ending_of(problem, 0)
    assert ending is not None
    assert ending.exit_code == 1
    assert ending.because


@pytest.mark.parametrize("problem", [KeyError("email"), TypeError("no"), AssertionError()])
def test_a_defect_of_the_program_is_no_way_for_a_run_to_end(problem: Exception) -> None:
    assert ending_of(problem, 0) is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("problem", [None, RunStopped(ENDPOINT), KeyError("x")])
def test_a_signal_ends_the_run_whatever_came_of_it(
    number: signal.Signals, problem: Exception | None
) -> None:
    ending = ending_of(problem, number)
    assert ending is not None
    assert ending.exit_code == 128 + number
    assert str(int(number)) in ending.because


@settings(deadline=None, max_examples=30)
@given(st.floats(0, 100), st.floats(0, 100))
def test_more_rejected_records_than_allowed_end_the_run_with_1(share: float, limit: float) -> None:
    assert check_reject_limit(share, limit, "rejects.singer", rejected=5).exit_code == (
        1 if share > limit else 0
    )


def test_a_few_rejected_records_fail_no_run_by_their_percentage() -> None:
    assert check_reject_limit(100, 5, "rejects.singer", rejected=4).exit_code == 0
    assert check_reject_limit(100, 5, "rejects.singer", rejected=5).exit_code == 1


def test_too_many_rejected_records_are_said_with_share_setting_and_place() -> None:
    because = check_reject_limit(12.34, 5, "somewhere/rejects.singer", rejected=9).because
    assert "12.3 %" in because
    assert "max_rejected_percent (5)" in because
    assert "somewhere/rejects.singer" in because


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_a_single_bad_record_among_any_number_ends_a_run_that_allows_none(
    good: int, bad: int
) -> None:
    percent = 100 * bad / (good + bad)
    assert check_reject_limit(percent, 0, "rejects.singer", rejected=bad).exit_code == 1
