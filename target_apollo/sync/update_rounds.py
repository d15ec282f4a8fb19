"""Carries updates out in rounds in which no Apollo record occurs twice, so that the last row wins.

The parts of a record go one after another within a round (`updating`); records go side by side.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from target_apollo.apollo import ApolloError
from target_apollo.model.outcomes import Outcome
from target_apollo.model.rows import Row
from target_apollo.sync.batch import Settling
from target_apollo.sync.exit import RunError
from target_apollo.sync.latest_words import LatestWords
from target_apollo.sync.limits import WriteLimits
from target_apollo.sync.pending_updates import Update
from target_apollo.sync.update import Updater

#: What updates come to after other rows of the same Apollo records have been written, and a failure
#: that ends the run.
SeeAgain = Callable[[Sequence[Update]], "tuple[list[Update], ApolloError | None]"]


@dataclass(frozen=True)
class UpdateRounds:
    """Carries out the updates of one stream.

    Attributes:
        updater: Makes what carries a single round out.
        sample: Shown the updates of existing records before they are carried out.
    """

    updater: Callable[[], Updater]
    limits: WriteLimits
    sample: Callable[[Sequence[Update]], None]
    settling: Settling
    latest: LatestWords

    def carry_out(
        self,
        updates: Sequence[Update],
        failure: ApolloError | RunError | None,
        see_again: SeeAgain,
    ) -> list[Row]:
        """Settles the rows of updates, as far as the run goes on.

        Args:
            failure: What ends the run already; only rows that need no request are settled then.
            see_again: Asked before each round but the first.

        Returns:
            Rows whose record is gone from Apollo, to be created again.

        Raises:
            ApolloError, RunError: The failure, or the run can't go on.
        """
        gone: list[Row] = []
        for number, members in enumerate(_rounds(updates)):
            if number and failure is None:
                members, failure = see_again(members)
            idle = [update for update in members if not update.changes]
            for update in idle:
                self.settling.finish(update, update.answer)
            if failure is None:
                failure = self._update_allowed([u for u in members if u.changes], gone)
        if failure is not None:
            raise failure
        return gone

    def _update_allowed(
        self, updates: Sequence[Update], gone: list[Row]
    ) -> ApolloError | RunError | None:
        """Carries a round out as far as the limit allows; new records are always completed."""
        changed = [update for update in updates if update.outcome is Outcome.UPDATED]
        completed = [update for update in updates if update.outcome is not Outcome.UPDATED]
        reached: RunError | None = None
        try:
            allowed = self.limits.updates_allowed(len(changed))
        except RunError as problem:
            allowed, reached = 0, problem
        self.limits.updated += allowed
        failure = self._update_round([*completed, *changed[:allowed]], gone)
        if failure is None and reached is None and allowed < len(changed):
            try:
                self.limits.updates_allowed(1)
            except RunError as problem:
                reached = problem
        return failure or reached

    def _update_round(self, updates: Sequence[Update], gone: list[Row]) -> ApolloError | None:
        updater = self.updater()
        self.sample(updates)
        failure = updater.carry_out(updates)
        self.latest.forget(
            {update.apollo_id for update, _ in (*updater.refused, *updater.rejected)}
        )
        for update, refusal in updater.refused:
            self.settling.take_refusal(update.row, update.apollo_id, refusal, gone)
        for update, reason in updater.rejected:
            self.settling.reject_record(update.row, update.apollo_id, reason)
        for update, answer in updater.done:
            self.latest.know(update.row, answer or update.answer or {"id": update.apollo_id})
            self.settling.finish(update, answer)
        return failure


def _rounds(updates: Sequence[Update]) -> list[list[Update]]:
    rounds: list[list[Update]] = []
    next_round: dict[str, int] = defaultdict(int)
    for update in updates:
        place = next_round[update.apollo_id]
        next_round[update.apollo_id] += 1
        if place == len(rounds):
            rounds.append([])
        rounds[place].append(update)
    return rounds
