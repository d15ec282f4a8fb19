"""The leads that pass each of the mapper's rules, counted from its verdict file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import msgspec

from target_apollo.mapper.rules import RULES
from target_apollo.mapper.verdicts import Outcome, earlier
from target_apollo.reporting.past_runs import PastRun
from target_apollo.reporting.summaries import Stream
from target_apollo.sync.words import plural

#: The mapper starts together with the target, and may judge a lead before the run begins.
_HEAD_START = timedelta(minutes=1)


@dataclass(frozen=True)
class Step:
    """A rule, and the leads that fail it as their first rule.

    Attributes:
        remaining: Leads that passed it and all rules before it.
    """

    rule: str
    dropped: int
    held: int
    remaining: int


@dataclass(frozen=True)
class Funnel:
    """The leads of one stream in one run, by the first rule that each fails.

    Attributes:
        read: All leads.
        named: Leads that passed by the setting `always`, though they fail rules. No step has them.
        withheld: Leads that passed without their e-mail address.
    """

    stream: str
    read: int
    steps: Sequence[Step]
    named: int = 0
    withheld: int = 0

    @property
    def passed(self) -> int:
        """Leads that meet every rule and go on to the target."""
        return self.steps[-1].remaining if self.steps else self.read

    @property
    def remarks(self) -> list[str]:
        """What happened to leads that passed otherwise than the others."""
        said = (
            (self.named, "passed by the setting always, though rules hold against it"),
            (self.withheld, "passed without the e-mail address"),
        )
        return [f"{plural(count, 'lead')} {words}" for count, words in said if count]


@dataclass(frozen=True)
class Period:
    """The period whose verdicts belong to a run."""

    begin: datetime
    end: datetime | None

    @classmethod
    def of(cls, run: PastRun, before: PastRun | None) -> Period:
        """From a minute before the run, but not before the end of the run before, to its end.

        A verdict does not name its run: the mapper is another process and does not know it.
        """
        begin = run.started_at - _HEAD_START
        if before is not None and before.ended_at is not None:
            begin = max(begin, min(before.ended_at, run.started_at))
        # The times of verdicts are whole seconds.
        return cls(begin.replace(microsecond=0), run.ended_at)

    def holds(self, at: datetime) -> bool:
        """Whether a moment lies in it."""
        return self.begin <= at and (self.end is None or at <= self.end)


class _RuleFailure(msgspec.Struct):
    rule: str


class _Verdict(msgspec.Struct):
    at: Annotated[datetime, msgspec.Meta(tz=True)]
    stream: str
    verdict: str
    failing: tuple[_RuleFailure, ...] = ()
    withheld: tuple[_RuleFailure, ...] = ()


_decoder = msgspec.json.Decoder(_Verdict)


@dataclass
class _Tally:
    read: int = 0
    named: int = 0
    withheld: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)

    def count(self, verdict: _Verdict) -> None:
        self.read += 1
        if verdict.verdict == Outcome.PASSED.value:
            self.named += bool(verdict.failing)
            self.withheld += bool(verdict.withheld)
        elif verdict.failing:
            falls = self.held if verdict.verdict == Outcome.HELD.value else self.dropped
            falls[verdict.failing[0].rule] += 1

    def steps(self) -> Iterator[Step]:
        remaining = self.read
        # Rules that only another version knows come last.
        for rule in dict.fromkeys((*RULES, *sorted(self.dropped + self.held))):
            dropped, held = self.dropped[rule], self.held[rule]
            if dropped or held:
                remaining -= dropped + held
                yield Step(rule, dropped, held, remaining)


def read_funnels(path: Path, period: Period) -> list[Funnel]:
    """A funnel for each stream of leads that was judged in a period.

    Args:
        path: The mapper's `verdicts_path`; the earlier file beside it is read too.

    Raises:
        OSError: The file can't be read.
    """
    tallies: dict[str, _Tally] = {}
    for verdict in _verdicts(path, period):
        tallies.setdefault(verdict.stream, _Tally()).count(verdict)
    return [
        Funnel(stream, tally.read, tuple(tally.steps()), tally.named, tally.withheld)
        for stream, tally in sorted(tallies.items())
    ]


def receiving_stream(funnel: Funnel, of_run: int, streams: Mapping[str, Stream]) -> str | None:
    """The stream of the run that received a funnel's leads; None if that is not known.

    Args:
        of_run: How many funnels the run has.
        streams: The run's streams by name. The mapper may have given the leads another name.
    """
    if funnel.stream in streams:
        return funnel.stream
    if of_run == len(streams) == 1:
        return next(iter(streams))
    alike = [name for name, stream in streams.items() if stream.settled == funnel.passed > 0]
    return alike[0] if len(alike) == 1 else None


def _verdicts(path: Path, period: Period) -> Iterator[_Verdict]:
    aside = earlier(path)
    # The earlier file does not change any more: its time is that of its last verdict.
    with_aside = aside.exists() and aside.stat().st_mtime >= period.begin.timestamp()
    for file in (aside, path) if with_aside else (path,):
        with file.open("rb") as lines:
            for line in lines:
                try:
                    verdict = _decoder.decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                    # The last line of a run that was killed may be cut off.
                    continue
                if period.holds(verdict.at):
                    yield verdict
