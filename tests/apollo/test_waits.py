from __future__ import annotations

from target_apollo.apollo.throttle import Gates

LABELS = "GET /labels"


def test_a_gate_is_open_until_it_is_closed_and_only_for_its_endpoint() -> None:
    gates = Gates()
    assert gates.closed_for(LABELS) == 0

    gates.close(LABELS, 100)

    assert 90 < gates.closed_for(LABELS) <= 100
    assert gates.closed_for("GET /fields") == 0


def test_a_shorter_closing_does_not_open_a_gate_earlier() -> None:
    gates = Gates()
    gates.close(LABELS, 100)
    gates.close(LABELS, 1)

    assert gates.closed_for(LABELS) > 90


def test_one_thread_per_closing_tells_of_the_wait() -> None:
    gates = Gates()
    gates.close(LABELS, 100)
    assert [gates.first_to_wait(LABELS) for _ in range(3)] == [True, False, False]

    gates.close(LABELS, 200)

    assert [gates.first_to_wait(LABELS) for _ in range(3)] == [True, False, False]
