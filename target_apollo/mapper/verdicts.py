"""Verdicts: how the rules judge a lead, the counts of a run, and the verdict file.

The verdict file has mode 0600, since it holds business data, and one JSON line for each lead, such
as ``{"at": …, "stream": …, "key": "42", "verdict": "dropped", "failing": [{"rule": "stage",
"reason": …}], "values": {…}}``. ``key`` is null for a lead without key properties. Leads
that pass by the setting `always`, or without a property, have a member more that says so.
"""

from __future__ import annotations

import enum
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import msgspec

from target_apollo.mapper.errors import InputError
from target_apollo.mapper.rules import Check, Lead, LookupCheck, NotYet, WithholdField
from target_apollo.system.files import check_written, private_descriptor


class Outcome(enum.Enum):
    """The verdict on a lead."""

    #: The lead meets every rule and goes on to the target.
    PASSED = "passed"
    #: All its failures are `NotYet`; the next run reads it again.
    HELD = "held"
    #: It fails a rule; the tap sends it again when the source changes it.
    DROPPED = "dropped"


#: ``(rule, reason)`` for each rule that a lead fails, in the order of the rules.
Failures = Sequence[tuple[str, str]]


class Judgement(NamedTuple):
    """The outcome of a lead, and why.

    Attributes:
        failures: The rules that it fails. A lead that passes fails none, unless it `is_named`.
        withheld: ``(rule, reason)`` for each property without which it goes on.
        is_named: Whether it passes although it fails rules, since the setting `always` names it.
    """

    outcome: Outcome
    failures: Failures = ()
    withheld: Sequence[tuple[str, WithholdField]] = ()
    is_named: bool = False


PASSED = Judgement(Outcome.PASSED)


@dataclass
class RuleCounts:
    """The number of leads of a stream by outcome and by rule.

    Attributes:
        rules: Names of the rules, in the order in which they are applied.
        passed: Leads that went on to the target.
        held: Leads that the next run reads again.
        dropped: All other leads.
        named: Those that passed although they fail rules. No rule counts them.
        first: Rule -> number of leads of which it was the first failure.
        failed: Rule -> number of leads that failed it.
        withheld: Rule -> number of leads that passed without a property.
    """

    rules: Sequence[str]
    passed: int = 0
    held: int = 0
    dropped: int = 0
    named: int = 0
    first: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    withheld: dict[str, int] = field(default_factory=dict)

    def count(self, judgement: Judgement) -> None:
        """Count one lead."""
        if judgement is PASSED:
            self.passed += 1
            return
        outcome, failures, withheld, is_named = judgement
        if outcome is Outcome.PASSED:
            self.passed += 1
            self.named += is_named
            for rule, _ in withheld:
                self.withheld[rule] = self.withheld.get(rule, 0) + 1
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
        """The counts in words: a line with the outcomes, then a line for each rule."""
        total = self.passed + self.held + self.dropped
        yield (
            f"{total:,} leads: {self.passed:,} passed, {self.held:,} held, {self.dropped:,} dropped"
        )
        if self.named:
            yield f"{self.named:,} of them passed by the setting always, though they fail rules"
        for rule in self.rules:
            first, failed = self.first.get(rule, 0), self.failed.get(rule, 0)
            withheld = self.withheld.get(rule, 0)
            also = f"; {withheld:,} passed without the e-mail address" if withheld else ""
            yield f"rule {rule}: {first:,} failed it first, {failed:,} at all{also}"


class Judge:
    """Applies all checks of one stream, given as ``(rule, check)``, to every lead."""

    def __init__(self, checks: Sequence[tuple[str, Check]]) -> None:
        self._checks = checks
        self._lookups = [check for _, check in checks if isinstance(check, LookupCheck)]

    @property
    def looks_up(self) -> bool:
        """Whether any check looks something up in `prepare`."""
        return bool(self._lookups)

    def prepare(self, leads: Sequence[Lead]) -> None:
        """Look up what the checks need for these leads; call it before they are judged."""
        for check in self._lookups:
            check.prepare(leads)

    def judge(self, lead: Lead) -> Judgement:
        """The outcome of a lead by the rules alone."""
        reasons = [
            (rule, reason) for rule, check in self._checks if (reason := check(lead)) is not None
        ]
        if not reasons:
            return PASSED
        failures = [(rule, why) for rule, why in reasons if not isinstance(why, WithholdField)]
        if not failures:
            withheld = [(rule, why) for rule, why in reasons if isinstance(why, WithholdField)]
            return Judgement(Outcome.PASSED, withheld=withheld)
        if all(isinstance(reason, NotYet) for _, reason in failures):
            return Judgement(Outcome.HELD, failures)
        return Judgement(Outcome.DROPPED, failures)


#: Bytes. A run that finds a larger verdict file renames it to `earlier`, which it overwrites.
LARGEST = 256 * 1024 * 1024


class RuleFailure(msgspec.Struct, frozen=True, gc=False):
    """A rule that a lead failed."""

    rule: str
    reason: str


def _reasons(by_rule: Sequence[tuple[str, str]]) -> tuple[RuleFailure, ...]:
    # msgspec does not encode a subclass of str such as `NotYet`.
    return tuple([RuleFailure(rule, str(reason)) for rule, reason in by_rule])


class Verdict(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A line of the verdict file.

    Attributes:
        withheld: Why the lead went on without a property, by rule.
        always: Whether it passed although it fails the rules in `failing`.
    """

    at: str
    stream: str
    key: str | None
    verdict: str
    failing: tuple[RuleFailure, ...]
    values: Mapping[str, object]
    withheld: tuple[RuleFailure, ...] = ()
    always: bool = False


#: What is added to the name of a file that has become too large.
EARLIER = ".1"


def earlier(path: Path) -> Path:
    """The path to which a verdict file is renamed that is larger than `LARGEST`."""
    return path.with_name(path.name + EARLIER)


_encode = msgspec.json.Encoder(decimal_format="number").encode


class VerdictFile:
    """Appends verdicts to the file at ``path``; they are on disk after `flush`.

    Each method raises `InputError` if the file can't be written.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._lines: list[bytes] = []
        try:
            check_written(self._path)
            if self._path.exists() and self._path.stat().st_size > LARGEST:
                check_written(earlier(self._path))
                self._path.replace(earlier(self._path))
            self._file = private_descriptor(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
            size = os.fstat(self._file).st_size
            if size and os.pread(self._file, 1, size - 1) != b"\n":
                # A run was killed while it wrote this line.
                os.write(self._file, b"\n")
        except OSError as error:
            raise self._fault(error) from None

    def add(
        self,
        at: str,
        stream: str,
        key: str | None,
        judgement: Judgement,
        values: Mapping[str, object],
    ) -> None:
        """Add the verdict on a lead.

        Args:
            at: The time in ISO 8601.
            stream: The stream, by the tap's name.
            key: The lead's key; None if the stream has no key properties.
            judgement: The verdict.
            values: The properties that the rules read.
        """
        outcome, failures, withheld, is_named = judgement
        verdict = Verdict(
            at,
            stream,
            key,
            outcome.value,
            _reasons(failures),
            values,
            _reasons(withheld) if withheld else (),
            is_named,
        )
        try:
            self._lines.append(_encode(verdict))
        except UnicodeEncodeError:
            # Half of a surrogate pair has no UTF-8 form; json escapes it in ASCII.
            built = msgspec.to_builtins(verdict, builtin_types=(object,))
            self._lines.append(json.dumps(built, default=str).encode())

    def flush(self) -> None:
        """Write the added verdicts, in whole lines."""
        if not self._lines:
            return
        rest = memoryview(b"\n".join(self._lines) + b"\n")
        self._lines.clear()
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError as error:
            raise self._fault(error) from None

    def close(self) -> None:
        """Write the added verdicts and close the file."""
        self.flush()
        os.close(self._file)

    def _fault(self, error: OSError) -> InputError:
        return InputError(
            f"Setting verdicts_path: {self._path} can't be written: {error.strerror}. Give another "
            "path, or leave it empty for no verdicts."
        )
