"""From the answers of a stream's checks to one verdict a lead, and the counts of a run."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from target_apollo.mapper.rules import Check, Lead, LookupCheck, NotYet


class Outcome(enum.Enum):
    """What becomes of a lead."""

    #: Every rule holds; the lead goes on.
    PASSED = "passed"
    #: It only fails rules that time will heal; the next run reads it again.
    HELD = "held"
    #: It fails a rule; it comes again when the source changes it.
    DROPPED = "dropped"


Failures = Sequence[tuple[str, str]]
"""The rules that a lead fails, in the order of the rules, each with its reason."""


@dataclass
class Tally:
    """How many leads of a stream had each outcome, and failed each rule.

    Attributes:
        rules: The rules, in their order.
        passed: Leads that went on.
        held: Leads that the next run reads again.
        dropped: All other leads.
        first: Leads by the first rule that they failed.
        failed: Leads by each rule that they failed.
    """

    rules: Sequence[str]
    passed: int = 0
    held: int = 0
    dropped: int = 0
    first: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)

    def count(self, outcome: Outcome, failures: Failures) -> None:
        """Count one lead."""
        if not failures:
            self.passed += 1
            return
        if outcome is Outcome.HELD:
            self.held += 1
        else:
            self.dropped += 1
        rule = failures[0][0]
        self.first[rule] = self.first.get(rule, 0) + 1
        for rule, _ in failures:
            self.failed[rule] = self.failed.get(rule, 0) + 1

    def lines(self) -> Iterator[str]:
        """The counts in words: a line on the outcomes, then one a rule."""
        total = self.passed + self.held + self.dropped
        yield (
            f"{total:,} leads: {self.passed:,} passed, {self.held:,} held, {self.dropped:,} dropped"
        )
        for rule in self.rules:
            first, failed = self.first.get(rule, 0), self.failed.get(rule, 0)
            yield f"rule {rule}: {first:,} failed it first, {failed:,} at all"


class Judge:
    """Applies the checks of one stream, all of them to every lead."""

    def __init__(self, checks: Sequence[tuple[str, Check]]) -> None:
        self._checks = checks
        self._lookups = [check for _, check in checks if isinstance(check, LookupCheck)]

    @property
    def looks_up(self) -> bool:
        """Whether `prepare` has anything to do."""
        return bool(self._lookups)

    def prepare(self, leads: Sequence[Lead]) -> None:
        """Look up what the checks need for these leads, which are judged next."""
        for check in self._lookups:
            check.prepare(leads)

    def judge(self, lead: Lead) -> tuple[Outcome, Failures]:
        """The verdict on a lead."""
        failures = [
            (rule, reason) for rule, check in self._checks if (reason := check(lead)) is not None
        ]
        if not failures:
            return Outcome.PASSED, failures
        if all(isinstance(reason, NotYet) for _, reason in failures):
            return Outcome.HELD, failures
        return Outcome.DROPPED, failures
