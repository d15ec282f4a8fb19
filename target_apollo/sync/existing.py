"""What each existing record needs: its row under the policies, against what Apollo holds.

Apollo's latest words on records, for later rows of the same flush and for contacts to come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from msgspec.structs import replace as with_values

from target_apollo.apollo import ApolloClient, ApolloError, RequestRefused
from target_apollo.model.objects import Json, ObjectKind, ObjectType
from target_apollo.model.outcomes import Outcome
from target_apollo.model.policies import Policies, guard, needs_the_record
from target_apollo.model.rows import Row
from target_apollo.sync.concurrency import Parallel
from target_apollo.sync.directory import Directory
from target_apollo.sync.plan import changes
from target_apollo.sync.recall import Memory
from target_apollo.sync.update_plan import Update


@dataclass(frozen=True)
class Known:
    """A row and the existing record that it is to be written to.

    Attributes:
        answer: The record as Apollo last answered it; None when only its id is known.
    """

    row: Row
    apollo_id: str
    answer: Json | None


@dataclass
class Compared:
    """What the records need; and those that can't be read, with why."""

    updates: list[Update] = field(default_factory=list)
    refused: list[tuple[Row, str, RequestRefused]] = field(default_factory=list)
    failure: ApolloError | None = None


@dataclass(frozen=True)
class Comparer:
    """Compares the rows of one stream with their records.

    Attributes:
        policies: Asked for when the first row is compared, since names have to be looked up.
        note_protected: Told the names of fields whose value in Apollo stays.
    """

    client: ApolloClient
    object_type: ObjectType
    parallel: Parallel
    directory: Directory
    policies: Callable[[], Policies]
    note_protected: Callable[[Sequence[str]], None]

    def compare(
        self, known: Sequence[Known], memory: Memory, made_it: Callable[[Row, Json], bool]
    ) -> Compared:
        """What each record needs; records are read where a policy has to see more of them.

        Args:
            made_it: Whether a row has itself made a record, in a run that was cut off. No policy
                keeps anything from that one.
        """
        policies = self.policies()
        compared = Compared()
        cut_off = memory.unfinished if policies.protect else {}
        to_read = [
            one
            for one in known
            if needs_the_record(policies, self.object_type, one.row, one.answer)
            or (one.answer is None and one.row.number in cut_off)
        ]
        read = dict(zip([one.row.number for one in to_read], self._read(to_read), strict=True))
        for one in known:
            answer = read.get(one.row.number, one.answer)
            if isinstance(answer, RequestRefused):
                compared.refused.append((one.row, one.apollo_id, answer))
            elif isinstance(answer, ApolloError):
                compared.failure = compared.failure or answer
            elif isinstance(answer, Exception):
                raise answer
            else:
                if answer and one.row.number in cut_off and made_it(one.row, answer):
                    compared.updates.append(self.compare_whole(replace(one, answer=answer)))
                    continue
                if answer is None and one.row.number in memory.same_match:
                    one = self._without_match(one)
                left = memory.left_at.get(one.row.number)
                compared.updates.append(self._update(replace(one, answer=answer), policies, left))
        return compared

    def compare_whole(self, known: Known) -> Update:
        """What a record needs that the row itself has made: no policy keeps anything from it."""
        return self._update(known, Policies(), None)

    def _without_match(self, known: Known) -> Known:
        """The same without e-mail or domain, which no update need carry as long as it stands.

        What somebody mended in Apollo stays, and an account's other values fit a bulk request.
        """
        values = {k: v for k, v in known.row.values.items() if k != self.object_type.match_field}
        return replace(known, row=with_values(known.row, values=values))

    def _update(self, known: Known, policies: Policies, left_at: str | None) -> Update:
        guarded = guard(policies, self.object_type, known.row, known.answer, left_at)
        row = guarded.row
        lists = self.directory.list_ids(self.object_type.kind) if row.lists and known.answer else {}
        needed = changes(self.object_type, row, known.answer, lists)
        outcome = Outcome.UPDATED
        if guarded.protected:
            self.note_protected(guarded.protected)
            if not needed:
                outcome = Outcome.SKIPPED
        older = guarded.is_older
        return Update(row, known.apollo_id, known.answer, needed, outcome, is_older=older)

    def _read(self, known: Sequence[Known]) -> list[Json | Exception]:
        read = partial(self.client.read, self.object_type.endpoints)
        return self.parallel.run([partial(read, one.apollo_id) for one in known])


class LatestWords:
    """What Apollo has answered on the records of one stream since the flush began.

    Attributes:
        answers: Records by Apollo id, and by match key where more than the id was answered.
    """

    def __init__(self, object_type: ObjectType, directory: Directory) -> None:
        """`directory` learns the accounts that are written."""
        self._object_type = object_type
        self._directory = directory
        self.answers: dict[str, Json] = {}

    def begin(self) -> None:
        """Forgets the flush before: its records may have changed since."""
        self.answers = {}

    def know(self, row: Row, answer: Json) -> None:
        """Remembers what Apollo answered on the record of a row."""
        apollo_id = str(answer.get("id"))
        self.answers[apollo_id] = answer
        self.know_ids([(row, apollo_id)])
        if row.match_key and len(answer) > 1:
            self.answers[row.match_key] = answer

    def forget(self, apollo_ids: set[str]) -> None:
        """Takes nothing for known of records to which a part of an update may have been written."""
        if apollo_ids:
            kept = self.answers.items()
            self.answers = {key: one for key, one in kept if str(one.get("id")) not in apollo_ids}

    def know_ids(self, rows: Iterable[tuple[Row, str | None]]) -> None:
        """Notes which records rows are, for the contacts that name an account's domain."""
        if self._object_type.kind is not ObjectKind.ACCOUNTS:
            return
        for row, apollo_id in rows:
            if row.match_key and apollo_id:
                self._directory.learn_account(row.match_key, apollo_id)
