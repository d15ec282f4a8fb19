from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from target_apollo.target.state import Checkpoint

quick = settings(deadline=None, max_examples=60)

# What a run meets, in any order: a record, a STATE, the outcome of some pending record, a moment
# at which STATE may be printed.
RECORD, STATE, OUTCOME, LOOK = "record", "state", "outcome", "look"
events = st.lists(
    st.tuples(st.sampled_from([RECORD, RECORD, STATE, OUTCOME, LOOK]), st.integers(0, 5)),
    max_size=60,
)


@dataclass
class History:
    """A run played on a checkpoint, with what it would be right to pass."""

    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    received: int = 0
    pending: list[int] = field(default_factory=list)
    states: list[tuple[int, str]] = field(default_factory=list)
    looks: list[tuple[str | None, str | None]] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)

    def play(self, happened: list[tuple[str, int]]) -> History:
        for what, choice in happened:
            if what == RECORD:
                self.received += 1
                self.pending.append(self.received)
            elif what == STATE:
                value = f"state {len(self.states)}"
                self.states.append((self.received, value))
                self.checkpoint.hold(value, after=self.received)
            elif what == OUTCOME and self.pending:
                self.pending.pop(choice % len(self.pending))
            elif what == LOOK:
                self.look()
        return self

    def look(self) -> None:
        oldest = min(self.pending, default=self.received + 1)
        right = [value for number, value in self.states if number < oldest]
        newest = right[-1] if right and right[-1] not in self.passed else None
        found = self.checkpoint.covered(self.pending)
        self.looks.append((found[0] if found else None, newest))
        if found:
            self.passed.append(found[0])


@quick
@given(events)
def test_what_passes_is_the_newest_state_whose_records_all_have_an_outcome(
    happened: list[tuple[str, int]],
) -> None:
    history = History().play([*happened, (LOOK, 0)])
    assert all(found == right for found, right in history.looks)


@quick
@given(events)
def test_states_pass_in_the_order_in_which_they_came_and_once_each(
    happened: list[tuple[str, int]],
) -> None:
    history = History().play(happened)
    came = [value for _, value in history.states]
    assert [came.index(value) for value in history.passed] == sorted(
        {came.index(value) for value in history.passed}
    )


@quick
@given(events)
def test_the_last_state_passes_once_every_record_has_an_outcome(
    happened: list[tuple[str, int]],
) -> None:
    history = History().play(happened)
    history.pending.clear()
    history.look()
    assert history.passed[-1:] == [value for _, value in history.states][-1:]


def test_a_state_before_any_record_passes_at_once() -> None:
    checkpoint = Checkpoint()
    checkpoint.hold({"bookmarks": {}}, after=0)
    assert checkpoint.covered([]) == ({"bookmarks": {}},)


def test_a_state_that_came_after_a_pending_record_waits_for_it() -> None:
    checkpoint = Checkpoint()
    checkpoint.hold("after the record", after=1)
    assert checkpoint.covered([1]) is None
    assert checkpoint.covered([]) == ("after the record",)


def test_a_state_that_came_before_a_pending_record_passes() -> None:
    checkpoint = Checkpoint()
    checkpoint.hold("between the two", after=1)
    assert checkpoint.covered([2]) == ("between the two",)


def test_the_sink_with_the_oldest_record_decides() -> None:
    checkpoint = Checkpoint()
    accounts, contacts = 1, 2
    checkpoint.hold("after both", after=2)
    assert checkpoint.covered([contacts, accounts]) is None
    assert checkpoint.covered([contacts]) is None


def test_nothing_passes_twice() -> None:
    checkpoint = Checkpoint()
    checkpoint.hold("once", after=0)
    assert checkpoint.covered([]) == ("once",)
    assert checkpoint.covered([]) is None


@quick
@given(st.none() | st.just({}) | st.just(0) | st.just(""))
def test_a_value_that_is_empty_neither_passes_nor_takes_the_place_of_another(
    value: object,
) -> None:
    checkpoint = Checkpoint()
    checkpoint.hold("full", after=0)
    checkpoint.hold(value, after=0)
    checkpoint.hold(value, after=1)
    assert checkpoint.covered([]) == ("full",)
    assert checkpoint.covered([]) is None


def test_of_states_without_records_between_them_the_last_passes() -> None:
    checkpoint = Checkpoint()
    checkpoint.hold("first", after=1)
    checkpoint.hold("second", after=1)
    assert checkpoint.covered([]) == ("second",)
