"""Enrolments whose runs are killed, or whose requests fail: nobody twice, nobody forgotten."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from target_apollo.ledger import Ledger, LinkOutcome, LinkStatus, Place, match_hash, source_key
from target_apollo.sandbox import Fault, FaultKind, Sandbox, SandboxOptions
from target_apollo.sandbox.data.store import Store
from target_apollo.sandbox.serving.rate_windows import Plan
from tests.helpers.killing import Death, Ended, Moment, run_target
from tests.helpers.new_sandbox import new_sandbox
from tests.helpers.tiers import sampled
from tests.promises.conftest import Message, TargetRun, lines_of, state
from tests.promises.objects.enrolling import ADD, LEAVE, MIRROR, Spring, row, whole

_MOST_POINTS = 60
#: Which request of a run enrols first.
_ENROLS = 7


@pytest.fixture(scope="module")
def apollo() -> Iterator[Sandbox]:
    with new_sandbox(SandboxOptions(strict=True, plan=Plan.UNLIMITED)) as sandbox:
        yield sandbox


class Mirrored:
    """Four contacts of a mirrored sequence, and a table that then loses two and gains two."""

    def __init__(self, apollo: Sandbox, folder: Path) -> None:
        folder.mkdir()
        apollo.store = Store()
        apollo.reset_log()
        self.apollo = apollo
        self.spring = Spring(apollo)
        self._folder = folder
        self._config = {
            "api_key": apollo.api_key,
            "api_url": apollo.url,
            "allow_sequences": ["Spring"],
            "batch_size": 2,
            "parallel_requests": 1,
            "state_interval_seconds": 0,
            "ledger_url": f"sqlite:///{folder}/ledger.db",
            "rejects_path": str(folder / "rejects.singer"),
            "summary_path": str(folder / "summary.json"),
            **MIRROR,
        }
        ids = [str(apollo.store.add_contact(email=f"p{n}@a.com")["id"]) for n in range(7)]
        with Ledger.open(str(self._config["ledger_url"])) as ledger:
            place = Place(apollo.store.team_id, "contact", "contacts")
            outcomes = [
                LinkOutcome(
                    source_key((n,)),
                    LinkStatus.CREATED,
                    one,
                    payload_hash="-",
                    match_hash=match_hash(f"p{n}@a.com"),
                )
                for n, one in enumerate(ids)
            ]
            ledger.record_outcomes(place, "earlier", outcomes)
        self.spring.enrol_by_person(ids[6])
        assert self.run([0, 1, 2, 3, 6], None).exit_code == 0
        # A person takes one out, who must not come back.
        self.spring.take_out(ids[3])

    def run(self, numbers: list[int], death: Death | None) -> Ended:
        head, *rows, active, end = whole(*(row(n) for n in numbers))
        messages: list[Message] = [head]
        for n, one in enumerate(rows):
            messages += [one, state({"at": n})]
        lines = lines_of([*messages, active, end]).splitlines(keepends=True)
        return run_target(self._config, self._folder, lines, death)

    def change(self, death: Death | None) -> Ended:
        """Rows 0 and 1 go, 4 and 5 come; 6 is somebody else's doing, and its row goes too."""
        return self.run([2, 3, 4, 5], death)

    def check(self) -> None:
        assert self.spring.states == {
            "p0@a.com": "finished",
            "p1@a.com": "finished",
            "p2@a.com": "active",
            "p4@a.com": "active",
            "p5@a.com": "active",
            "p6@a.com": "active",
        }
        sent = (self.apollo.count(ADD), self.apollo.count(LEAVE))
        again = self.change(None)
        assert again.exit_code == 0, again.log
        assert (self.apollo.count(ADD), self.apollo.count(LEAVE)) == sent


#: Moment -> how many points a run has at least, and every how many of them is tried.
_POINTS = {
    Moment.BEFORE_REQUEST: (8, 1),
    Moment.BEFORE_ANSWER: (8, 1),
    Moment.AFTER_ANSWER: (8, 1),
    Moment.BEFORE_COMMIT: (8, 3),
    Moment.AFTER_COMMIT: (8, 3),
}


@pytest.mark.full
@pytest.mark.parametrize("moment", _POINTS, ids=lambda one: one.name.lower())
def test_a_mirror_that_is_killed_at_any_moment_is_made_whole_by_the_next(
    apollo: Sandbox, tmp_path: Path, moment: Moment
) -> None:
    (least, step), last = _POINTS[moment], 0
    for nth in range(1, _MOST_POINTS, step):
        mirrored = Mirrored(apollo, tmp_path / str(nth))
        ended = mirrored.change(Death(moment, nth))
        if not ended.killed:
            break
        last = nth
        ended = mirrored.change(None)
        assert ended.exit_code == 0, f"{moment.value}, {nth}: {ended.log}"
        mirrored.check()
    # A sweep that met no moment would prove nothing.
    assert last >= least


def test_a_mirror_that_is_killed_before_an_answer_is_made_whole_by_the_next(
    apollo: Sandbox, tmp_path: Path
) -> None:
    """Of the requests of the run this is the one that enrols."""
    mirrored = Mirrored(apollo, tmp_path / "point")
    apollo.reset_log()

    killed = mirrored.change(Death(Moment.BEFORE_ANSWER, _ENROLS))
    assert killed.killed
    assert apollo.requests[-1].endpoint == ADD
    assert mirrored.change(None).exit_code == 0

    mirrored.check()


# --- chaos

_FAULTS = [
    FaultKind.ERROR_BEFORE_WRITE,
    FaultKind.ERROR_AFTER_WRITE,
    FaultKind.RESET_BEFORE_WRITE,
    FaultKind.RESET_AFTER_WRITE,
    FaultKind.TRUNCATED_BODY,
    FaultKind.GARBAGE_BODY,
    FaultKind.EMPTY_BODY,
    FaultKind.HTML_PAGE,
]


@pytest.mark.parametrize("seed", sampled(range(12)))
def test_whatever_fails_nobody_is_enrolled_whom_no_row_names_or_a_person_took_out(
    free: Sandbox, sync: Callable[..., TargetRun], seed: int
) -> None:
    chance = random.Random(seed)
    spring = Spring(free, lambda messages, **more: sync(messages, sandbox=free, **more))
    ids = spring.people(12)
    by_person = {*chance.sample(sorted(ids), 2)}
    for email in sorted(by_person):
        spring.enrol_by_person(email)
    settings: dict[str, Any] = {**MIRROR, "max_updates": 100, "sequence_exit": "remove"}
    taken_out: set[str] = set()
    left: set[str] = set()
    ours: set[str] = set()
    for _ in range(3):
        numbers = chance.sample(range(12), chance.randint(4, 10))
        rows = [row(n) for n in numbers]
        for kind in chance.sample(_FAULTS, 2):
            free.inject(Fault(chance.choice([ADD, LEAVE]), kind, times=chance.randint(1, 3)))
        done = spring.sync(whole(*rows), max_retries=chance.randint(0, 1), **settings)
        free.clear_faults()
        if done.exit_code:
            done = spring.sync(whole(*rows), **settings)
        assert done.exit_code == 0, done.log
        named = {f"p{n}@a.com" for n in numbers}
        left |= ours - named
        ours = (ours | (named - by_person)) & named
        assert spring.active == (ours | by_person) - left - taken_out, done.log
        assert done.summary["records"]["without_outcome"] == 0
        staying = sorted(ours - left - taken_out)
        if staying:
            taken_out.add(staying[0])
            spring.take_out(ids[staying[0]])
