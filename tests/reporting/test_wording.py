from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_apollo.reporting.past_runs import merged
from target_apollo.reporting.words import Tone, end_of, run_in_words
from target_apollo.sync.words import compact, duration, listed, moment, number, plural
from target_apollo.system.shown import printable
from tests.helpers.past_runs import AT, past_run, row


@pytest.mark.parametrize(
    ("exit_code", "words", "tone"),
    [
        (0, "all well", Tone.GOOD),
        (1, "failed", Tone.BAD),
        (2, "wrong settings or key", Tone.BAD),
        (3, "out of quota", Tone.WARN),
        (143, "stopped by SIGTERM", Tone.WARN),
        (130, "stopped by SIGINT", Tone.WARN),
        (77, "exit code 77", Tone.BAD),
    ],
)
def test_an_exit_code_has_words(exit_code: int, words: str, tone: Tone) -> None:
    end = end_of(past_run(exit_code=exit_code))
    assert (end.words, end.tone) == (words, tone)


def test_a_run_without_an_end_is_told_as_such() -> None:
    (killed,) = merged([], [row()])
    assert end_of(killed).words == "no end noted"
    assert "killed" in run_in_words(killed)


def test_a_run_is_told_in_a_sentence() -> None:
    streams = {"contacts": {"created": 1200, "updated": 3, "existing": 2, "rejected": 1}}
    assert run_in_words(past_run(streams=streams, left=4)) == (
        "1,210 rows read in 12.5 s: 1,200 created and 3 updated in Apollo; 2 needed no change; "
        "1 could not be written; 4 left for the next run."
    )


def test_a_dry_run_is_told_as_a_plan() -> None:
    told = run_in_words(past_run(dry_run=True))
    assert told.startswith("A dry run, which wrote nothing: 4 rows read")
    assert "3 to create" in told


def test_a_run_that_ended_without_counts_says_so() -> None:
    (run,) = merged([], [row(finished_at=AT, exit_code=1)])
    assert run_in_words(run) == "Its counts are not known."


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "–"),
        (0, "0.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 0 s"),
        (3599.7, "1 h 0 min"),
        (90_000, "25 h 0 min"),
    ],
)
def test_a_span_of_time_in_words(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("value", "short"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.0k"),
        (1240, "1.2k"),
        (99_960, "100k"),
        (999_700, "1.0M"),
        (3_400_000, "3.4M"),
    ],
)
def test_a_number_where_there_is_little_room(value: int, short: str) -> None:
    assert compact(value) == short


@given(st.integers(0, 10**12))
def test_a_short_number_is_near_the_true_one(value: int) -> None:
    short = compact(value)
    told = float(short.rstrip("kM")) * {"k": 1e3, "M": 1e6}.get(short[-1], 1)
    assert told == pytest.approx(value, rel=0.051)


def test_numbers_and_words() -> None:
    assert (number(12345), number(None)) == ("12,345", "–")
    assert (plural(1, "run"), plural(0, "run"), plural(2, "retry", "retries")) == (
        "1 run",
        "0 runs",
        "2 retries",
    )


def test_moments_are_told_in_utc() -> None:
    there = timezone(timedelta(hours=2))
    assert moment(datetime(2026, 3, 1, 1, 5, tzinfo=there)) == "2026-02-28 23:05"


def test_a_long_list_ends_in_a_number() -> None:
    assert listed(["1", "2", "3"], 5) == "1, 2, 3"
    assert listed(["1", "2", "3"], 2) == "1, 2 and 1 more"
    assert listed(["1", "2"], 2, total=1002) == "1, 2 and 1,000 more"


@given(st.text())
def test_no_text_moves_the_cursor_or_turns_the_direction(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown) == len(text)


def test_a_text_that_can_be_shown_is_left_alone() -> None:
    assert printable("Größe 漢字") == "Größe 漢字"
    assert printable("a\x1b[31m\u202eb\n") == "a�[31m�b�"
