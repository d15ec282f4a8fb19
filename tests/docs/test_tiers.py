"""`make test` and `make test-all` leave out parameters of slow tests, and no test wholly."""

from __future__ import annotations

from tests.helpers.tiers import left_to_chaos, left_to_the_whole_suite

ON_BOTH = [
    f"tests/promises/test_it.py::test_{n}[{db}]"
    for n in range(40)
    for db in ("sqlite", "postgresql")
]


def test_two_parameters_of_a_slow_test_are_tried() -> None:
    tests = [f"tests/promises/test_it.py::test_it[{number}]" for number in range(5)]
    assert left_to_the_whole_suite(tests, "a") == frozenset(tests[2:])


def test_all_parameters_of_a_quick_test_are_tried() -> None:
    tests = [f"tests/model/test_it.py::test_it[{number}]" for number in range(5)]
    assert left_to_the_whole_suite(tests, "a") == frozenset()


def test_each_promise_is_tried_on_sqlite_and_some_are_on_postgresql() -> None:
    left = left_to_the_whole_suite(ON_BOTH, "a")
    assert all("postgresql" in test for test in left)
    assert 0 < len(left) < len(ON_BOTH) // 2


def test_another_commit_tries_others_on_postgresql() -> None:
    assert left_to_the_whole_suite(ON_BOTH, "a") != left_to_the_whole_suite(ON_BOTH, "b")


def test_what_is_there_for_postgresql_alone_is_tried() -> None:
    tests = ["tests/promises/test_it.py::test_it[postgresql]"]
    assert left_to_the_whole_suite(tests, "a") == frozenset()


def test_the_ledger_is_tried_in_both_databases() -> None:
    tests = [test.replace("/promises/", "/ledger/") for test in ON_BOTH]
    assert left_to_the_whole_suite(tests, "a") == frozenset()


def test_the_whole_suite_tries_a_few_of_many_combinations_and_chaos_the_rest() -> None:
    tests = [f"tests/promises/identity/test_it.py::test_it[{number}]" for number in range(20)]
    left = left_to_chaos(tests, "a")
    assert left < set(tests)
    assert len(left) == 16
    assert left != left_to_chaos(tests, "b")


def test_parameters_that_are_a_table_of_cases_are_all_in_the_whole_suite() -> None:
    tests = [f"tests/promises/test_it.py::test_it[{number}]" for number in range(20)]
    assert left_to_chaos(tests, "a") == frozenset()


def test_the_whole_suite_tries_half_of_the_moments_of_a_sweep() -> None:
    name = "tests/promises/test_kill_sweep.py::test_a"
    tests = [f"{name}[{moment}]" for moment in range(9)]

    left = left_to_chaos(tests, "a")

    assert len(left) == 4
    assert left != left_to_chaos(tests, "b")
