"""Asks the questions of a probe one after another, and gives the finding of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from target_apollo.apollo import (
    AnswerLost,
    ApolloError,
    CredentialsRefused,
    EndpointForbidden,
    NoAccessToken,
    QuotaExhausted,
    RequestRefused,
    RunStopped,
    TeamRefused,
)
from target_apollo.cli.probe.questions import QUESTIONS, Question
from target_apollo.cli.probe.session import NotAsked, Observation, Session, reason_of

#: After so many lost answers in a row nothing more is asked.
_LOST_IN_A_ROW = 3
_ENDS_ALL = (CredentialsRefused, NoAccessToken, QuotaExhausted, RunStopped, TeamRefused)


@dataclass(frozen=True)
class Finding:
    """What became of a question.

    Attributes:
        seen: The answer; None if the question was not asked.
        reason: Why it was not asked.
        is_earlier: Whether the answer is that of an earlier probe.
    """

    question: Question
    seen: Observation | None = None
    reason: str = ""
    is_earlier: bool = False

    @property
    def answer(self) -> str:
        """The answer; "not asked" without one."""
        return "not asked" if self.seen is None else self.seen.answer


@dataclass
class Probe:
    """A probe as it is asked.

    Attributes:
        problem: What ended it before the last question; None if nothing did.
    """

    session: Session
    problem: ApolloError | None = None

    def findings(self) -> Iterator[Finding]:
        """Ask each question and give what became of it; none is asked after a problem."""
        lost = 0
        last_lost: AnswerLost | None = None
        has_lost = False
        for question in QUESTIONS:
            if self.problem is not None:
                yield self._not_asked(question, "the probe ended before it")
                continue
            try:
                seen = question.ask(self.session)
            except (EndpointForbidden, RequestRefused, NotAsked) as problem:
                yield self._not_asked(question, reason_of(problem))
            except AnswerLost as problem:
                lost, last_lost, has_lost = lost + 1, problem, True
                if lost == _LOST_IN_A_ROW or not problem.maybe_written:
                    self.problem = problem
                yield self._not_asked(question, "Apollo's answer was lost")
            except _ENDS_ALL as problem:
                self.problem = problem
                yield self._not_asked(question, "the probe ended before its answer")
            else:
                lost, last_lost = 0, None
                yield Finding(question, seen)
        if self.problem is None:
            self._restore(after_loss=has_lost)
        # No question after the loss had an answer.
        self.problem = self.problem or last_lost

    def _not_asked(self, question: Question, reason: str) -> Finding:
        earlier = self.session.earlier.get(question.name)
        if earlier is None:
            return Finding(question, reason=reason)
        return Finding(
            question, Observation(earlier, "by an earlier probe"), reason, is_earlier=True
        )

    def _restore(self, *, after_loss: bool) -> None:
        try:
            self.session.restore(after_loss=after_loss)
        except (EndpointForbidden, RequestRefused):
            # The next probe restores them as it finds them.
            return
        except ApolloError as problem:
            self.problem = problem
