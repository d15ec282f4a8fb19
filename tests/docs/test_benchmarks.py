"""The benchmarks' own arithmetic, and that each of them starts."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_apollo.sandbox.serving.rate_windows import Limits

FOLDER = Path(__file__).parents[2] / "benchmarks"
# Modules of the folder that others import; the rest are scripts.
PARTS = {"bars", "machine", "processes", "simulated_clock"}
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in PARTS)

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
# Behind the end of a window, so that two clocks need not agree.
MARGIN = 1.0


def module(name: str) -> ModuleType:
    sys.path.insert(0, str(FOLDER))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(FOLDER))


bars = module("bars")
bench = module("bench")
clock = module("simulated_clock")
ten_thousand = module("first_ten_thousand")


@pytest.mark.full
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_explains_itself(script: str) -> None:
    done = subprocess.run(
        [sys.executable, str(FOLDER / f"{script}.py"), "--help"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert f"usage: {script}.py" in done.stdout


def test_bench_runs_every_script_there_is() -> None:
    assert {one.name for one in bench.BENCHMARKS} == set(SCRIPTS) - {"bench"}


# --- the simulated clock, by hand


def moments(
    requests: int, limits: Limits, *, workers: int = 1, latency: float = 0.0
) -> list[float]:
    timeline = clock.send_all([clock.Sent("PATCH", 1)] * requests, limits, workers, latency)
    assert timeline.refused == 0
    return [moment for moment, _ in timeline.changed]


def test_without_limits_a_worker_sends_one_request_after_another() -> None:
    assert moments(3, Limits(None, None, None), latency=2.0) == [2.0, 4.0, 6.0]


def test_workers_send_at_the_same_time() -> None:
    # The first answer of a new window is waited for, since it tells when the window began.
    assert moments(5, Limits(None, None, None), workers=2, latency=2.0) == [2.0, 4.0, 4.0, 6.0, 6.0]


def test_a_full_minute_is_waited_out() -> None:
    first, second, third, fourth, fifth = moments(5, Limits(2, None, None))
    assert first == second == 0.0
    assert MINUTE <= third == fourth <= MINUTE + MARGIN
    assert 2 * MINUTE <= fifth <= 2 * (MINUTE + MARGIN)


def test_the_longest_full_window_decides() -> None:
    found = moments(5, Limits(2, 2, 4))
    assert HOUR <= found[2] <= HOUR + MARGIN
    assert DAY <= found[4] <= DAY + MARGIN


def test_each_endpoint_has_its_own_windows() -> None:
    requests = [clock.Sent("PATCH", 1), clock.Sent("bulk_update", 100)]
    timeline = clock.send_all(requests, Limits(1, 1, 1), workers=1, latency=0.0)
    assert timeline.changed == [(0.0, 1), (0.0, 100)]


def test_a_contact_is_changed_when_the_answer_with_it_comes() -> None:
    timeline = clock.Timeline(changed=[(1.0, 0), (2.0, 100), (3.0, 1)])
    assert timeline.moment_of(1) == timeline.moment_of(100) == 2.0
    assert timeline.moment_of(101) == 3.0
    with pytest.raises(ValueError, match="only 101"):
        timeline.moment_of(102)


@given(st.integers(1, 5), st.integers(1, 12), st.integers(1, 40), st.integers(1, 40))
def test_no_window_of_the_simulation_takes_more_than_its_limit(
    workers: int, minute: int, hour: int, requests: int
) -> None:
    found = moments(requests, Limits(minute, hour, None), workers=workers, latency=0.5)
    assert len(found) == requests
    for moment in found:
        assert sum(moment <= other < moment + MINUTE - 1 for other in found) <= minute
        assert sum(moment <= other < moment + HOUR - 1 for other in found) <= hour


# --- the per-row algorithm


def test_the_per_row_algorithm_finds_a_hundred_and_changes_one_by_one() -> None:
    sent = [request.endpoint for request in ten_thousand.per_row(250)]
    assert sent.count(ten_thousand.CREATE) == 3
    assert sent.count(ten_thousand.PATCH) == 250
    assert sent[:2] == [ten_thousand.CREATE, ten_thousand.PATCH]
    assert sent[101] == ten_thousand.CREATE


def test_a_refused_bulk_update_changes_nobody() -> None:
    body = {"contact_attributes": [{"id": "1"}, {"id": "2"}]}
    request = {"endpoint": ten_thousand.BULK_UPDATE, "status": 200, "body": body}
    assert ten_thousand.sent(request).changed == 2
    assert ten_thousand.sent({**request, "status": 422}).changed == 0


@pytest.mark.parametrize(
    ("seconds", "words"), [(26.4, "26 s"), (3600.0, "1:00:00"), (360_000.0, "4.17 days")]
)
def test_a_time_is_told_in_its_own_unit(seconds: float, words: str) -> None:
    assert ten_thousand.in_words(seconds) == words


# --- the table


@given(
    st.lists(
        st.builds(
            bars.Bar,
            *[st.from_regex(r"[a-z0-9 .,%`]*[a-z]", fullmatch=True)] * 3,
            st.sampled_from([True, False, None]),
        )
    )
)
def test_a_printed_bar_is_read_back(given_bars: list[object]) -> None:
    output = "".join(f"some talk\n{bar.line}\n" for bar in given_bars)  # type: ignore[attr-defined]
    assert bars.bars_in(output) == given_bars


def test_throughput_is_judged_by_the_medians_of_its_rounds() -> None:
    output = (
        "unchanged 100000 rows:    4.0 s wall,    3.9 s cpu,   25000 rows/s, 0.30 x no-op, …\n"
        "unchanged 100000 rows:    5.0 s wall,    3.9 s cpu,   20000 rows/s, 0.40 x no-op, …\n"
        "unchanged 100000 rows:    6.0 s wall,    3.9 s cpu,   16000 rows/s, 0.50 x no-op, …\n"
        "new: median 0.70 x the no-op target's wall time\n"
        "unchanged: median 0.40 x the no-op target's wall time\n"
    )
    assert [(bar.measured, bar.met) for bar in bench.throughput_bars(output)] == [
        ("0.70", True),
        ("0.40", False),
        ("20,000 rows/s", True),
    ]


def test_the_mapper_is_judged_by_its_peer() -> None:
    output = (
        "meltano-map-transform     5,000 rows/s, 1.0 times (lowest 1.0)\n"
        "same rules               20,000 rows/s, 4.0 times (lowest 3.9)\n"
        "everything               14,500 rows/s, 2.9 times (lowest 2.8)\n"
    )
    assert [(bar.measured, bar.met) for bar in bench.mapper_bars(output)] == [
        ("4.0", True),
        ("2.9", False),
    ]


def test_memory_that_grows_with_the_rows_is_not_met() -> None:
    memory = module("memory")
    assert [bar.met for bar in memory.bars("new", {100: 80.0, 1000: 87.0})] == [True, True, True]
    assert [bar.met for bar in memory.bars("new", {100: 80.0, 1000: 151.0})] == [True, False, False]


def test_the_table_replaces_the_one_before() -> None:
    readme = f"# Benchmarks\n{bench.BEGIN}\nold\n{bench.END}\nrest\n"
    assert bench.written_into(readme, "new") == readme.replace("old", "new")
    with pytest.raises(ValueError, match="marks"):
        bench.written_into("# Benchmarks\n", "new")


def test_the_readme_has_a_place_for_the_table() -> None:
    assert bench.written_into(bench.README.read_text(), "new")
