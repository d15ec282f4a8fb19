"""Writes tasks: one a request, each at most once, with a mark by which it is found again.

The ledger knows the task of a row that was written before. For the others `TaskSearch` looks for
the row's mark in the notes of Apollo's tasks. What may have been made and is not found is rejected,
and only a replay in which the user says so sends it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property

from msgspec.structs import replace as with_values

from target_apollo.apollo import ApolloError, QuotaExhausted, endpoints
from target_apollo.apollo.object_clients import TaskClient
from target_apollo.model.objects.members import APOLLO_ID, EMAIL, MEMBER_KEY
from target_apollo.model.objects.registry import ObjectKind
from target_apollo.model.objects.stream_object import Normalise
from target_apollo.model.objects.task import (
    COMPLETED,
    CONTACT_ID,
    DUE_AT,
    NEEDED,
    OWNER_ID,
    SKIPPED,
    STATUS,
    TYPE,
)
from target_apollo.model.objects.task_changes import RowOfTask, TaskChange
from target_apollo.model.objects.task_values import (
    creation_body,
    digests,
    held_by,
    marker_of,
    unconfirmed,
)
from target_apollo.model.outcomes import Outcome, Reason, Rejection
from target_apollo.model.policies import FieldPolicy, Policies
from target_apollo.model.rows import Mode, Row
from target_apollo.model.texts.spelling import folded
from target_apollo.sync.batch import Batch
from target_apollo.sync.exit import RunError
from target_apollo.sync.objects.mark_index import first_known
from target_apollo.sync.objects.members import MemberFinder
from target_apollo.sync.objects.object_links import is_in_doubt
from target_apollo.sync.objects.single_writes import SAME_KEY, SingleWriteSync
from target_apollo.sync.objects.task_requests import TaskWrite, WrittenTask, needed, send
from target_apollo.sync.objects.task_search import TaskSearch, earliest_due, likeness
from target_apollo.sync.team.names import Resolved, resolved

_MOST_AT_ONCE = 4
#: Columns that name the contact -> what `MemberFinder` calls them.
_CONTACT = {CONTACT_ID: APOLLO_ID, MEMBER_KEY: MEMBER_KEY, EMAIL: EMAIL}

_UPDATE_NEEDS_TASK = Rejection(
    Reason.UPDATE_NEEDS_ID,
    "update needs the task: Apollo has none with the mark of this row; give the stream a property "
    "'apollo_id', or write the row in mode insert first",
)
_NO_CONTACT = Rejection(
    Reason.MISSING_MATCH_KEY,
    "the row names no contact: fill in one of contact_id, member_key, email",
)
_NOT_FOUND = (
    "an earlier request may have made the task of this row, and Apollo shows none with its mark: "
    "look at the tasks of that owner and day. If it is there, put its id into 'apollo_id'; if it "
    "is not, apollo-sync replay --resend-unknown makes it"
)
_TOO_MANY_TASKS = (
    "Apollo shows 50,000 tasks and has more: nothing tells whether one of the others is of this "
    "row, so none is made. If there is one, put its id into 'apollo_id'; if there is none, "
    "apollo-sync replay --resend-unknown makes it"
)
_ALIKE = (
    "of the same contact, owner, type and due time without the mark of any row, so none is made. "
    "If it is the row's, put its id into 'apollo_id'; if another is wanted, apollo-sync replay "
    "--resend-unknown makes it"
)


class TaskSync(SingleWriteSync[TaskWrite, WrittenTask]):
    """Writes one stream of tasks."""

    create_endpoint = endpoints.CREATE_TASK
    update_endpoint = endpoints.UPDATE_TASK
    update_needs_id = _UPDATE_NEEDS_TASK

    @cached_property
    def most_at_once(self) -> int:  # type: ignore[override] # a value for each run
        """A few, since a killed run leaves the outcome of so many open; more would not be faster.

        Four at a time use up the 200 requests that Apollo takes in a minute.
        """
        return min(_MOST_AT_ONCE, self.run.settings.parallel_requests)

    @cached_property
    def _client(self) -> TaskClient:
        return TaskClient(self.run.sender)

    @cached_property
    def _search(self) -> TaskSearch:
        if isinstance(self.sibling, TaskSync):
            return self.sibling._search
        return TaskSearch(self.run, self._client)

    @cached_property
    def _members(self) -> MemberFinder:
        return MemberFinder(self.run, self.stream, self.own.members_of)

    def read_policies(self) -> Policies:
        """The policies by the settings; what each task needs is never left out of a new one.

        Teams keep the owner of contacts with `never`, and a task needs one.
        """
        policies = super().read_policies()
        never = {name for name in NEEDED if policies.of(name) is FieldPolicy.NEVER}
        create_only = dict.fromkeys(never, FieldPolicy.CREATE_ONLY)
        return replace(policies, fields={**policies.fields, **create_only})

    def custom_field(self, name: str) -> tuple[str, Normalise] | None:  # noqa: ARG002
        """None: Apollo has no custom fields of tasks."""
        return None

    def check_settings(self) -> None:
        """Checks also that there is a ledger."""
        if not self.run.has_ledger:
            raise RunError(
                f"Stream '{self.stream}' holds tasks, and without a ledger nothing tells which "
                "rows have one already: Apollo would get them again in each run. Set ledger_url.",
                exit_code=2,
            )
        super().check_settings()

    # --- plan

    def deletion(self, batch: Batch, row: Row) -> TaskWrite | None:
        """The request that ends the task of a deleted row, if `on_delete` names how."""
        stage = self.run.settings.on_delete.stage
        status = folded(stage) if stage and self.mode is not Mode.INSERT else None
        if status not in (COMPLETED, SKIPPED) or row.apollo_id is None:
            if status is None or status in (COMPLETED, SKIPPED):
                self.run.notices.deletions_ignored(self.stream)
            else:
                self.notices.no_task_status(stage or "")
            batch.finish(row, Outcome.SKIPPED, row.apollo_id)
            return None
        ended = with_values(row, values={STATUS: status}, names={})
        if self.was_done(batch, ended):
            return None
        of_row = RowOfTask(ended, self.marks_of(batch, row))
        return TaskWrite(ended, {}, row.apollo_id, of_row=of_row)

    def find_records(self, batch: Batch, rows: Sequence[Row]) -> list[Row]:
        """The rows with the ids of their tasks, without those whose task can't be told."""
        unknown = [row for row in rows if not row.apollo_id]
        in_doubt = [row for row in unknown if self._is_in_doubt(batch, row)]
        certain = [row for row in unknown if not self._is_in_doubt(batch, row)]
        ids: dict[int, tuple[str, ...]] = {}
        try:
            for some in filter(None, (in_doubt, certain)):
                since = self.latest_start(batch, some) if some is in_doubt else None
                marks = {one for row in some for one in self.marks_of(batch, row)}
                found = self._search.find(marks, self._earliest(batch, some), since)
                for row in some:
                    mark, several = first_known(found, self.marks_of(batch, row))
                    ids[row.number] = self._search.still_marked(mark, several)
        except (QuotaExhausted, RunError) as failure:
            # The other rows can be written.
            self._failure = failure
        left = []
        taken: set[str] = set()
        for row in rows:
            mark = self.marks_of(batch, row)[0]
            if row.apollo_id:
                left.append(row)
            elif mark in taken:
                batch.finish(row, Outcome.REJECTED, rejection=SAME_KEY)
            elif row.number in ids:
                taken.add(mark)
                known = self._with_id(batch, row, ids[row.number])
                left += [] if known is None else [known]
        return left

    def _with_id(self, batch: Batch, row: Row, ids: Sequence[str]) -> Row | None:
        """A row with the id of its task, or to be made; None if it has got its outcome."""
        if len(ids) == 1:
            self.found.update(ids)
            return with_values(row, apollo_id=ids[0])
        if len(ids) > 1:
            batch.finish(row, Outcome.REJECTED, rejection=_several(ids))
        elif self._says_to_send(batch, row):
            return row
        elif self._is_in_doubt(batch, row):
            self._reject_unknown(batch, row, _NOT_FOUND)
        elif not self._search.shows(self._earliest(batch, [row])):
            self._reject_unknown(batch, row, _TOO_MANY_TASKS)
        else:
            return row
        return None

    def _reject_unknown(self, batch: Batch, row: Row, detail: str) -> None:
        batch.finish(row, Outcome.REJECTED, rejection=Rejection(Reason.OUTCOME_UNKNOWN, detail))

    def _is_in_doubt(self, batch: Batch, row: Row) -> bool:
        """Whether an earlier request may have made the task of a row, whose id is not known."""
        link = batch.history_of(row).link
        return link is not None and is_in_doubt(link)

    def _says_to_send(self, batch: Batch, row: Row) -> bool:
        """Whether the user of a replay says that a row in doubt has no task."""
        former = batch.formers.get(row.number)
        is_meant = former is not None and former.reason == Reason.OUTCOME_UNKNOWN.value
        return is_meant and self.run.resends_unknown

    def _earliest(self, batch: Batch, rows: Sequence[Row]) -> datetime:
        """The earliest due time of rows, now or when they were sent."""
        links = [batch.history_of(row).link for row in rows]
        sent = [link.match_hash for link in links if link is not None and link.match_hash]
        return earliest_due([*(row.values.get(DUE_AT) for row in rows), *sent])

    def mark_of(self, source: str, row: Row) -> str:
        """The text in the note of a row's task."""
        return marker_of(source, self.stream, row.key)

    def may_complete(self, batch: Batch, row: Row) -> bool:
        """False: a task holds all values from the request that makes it."""
        if self._is_in_doubt(batch, row):
            self.finish_made(batch, row)
        else:
            batch.finish(row, Outcome.EXISTING, row.apollo_id)
        return False

    def with_ids_of_names(self, batch: Batch, rows: Sequence[Row]) -> list[Row]:
        """The rows with the ids of their contacts and owners."""
        return super().with_ids_of_names(batch, self._with_contacts(batch, rows))

    def resolve_names(self, row: Row) -> Resolved:
        """The row with the id of its owner."""
        # Without an owner there is no task, so none is made without an unknown one.
        return resolved(self.run, row, self.run.directory.resolve, lambda _: False)

    def _with_contacts(self, batch: Batch, rows: Sequence[Row]) -> list[Row]:
        """The rows with the ids of their contacts, without those that get their outcome here."""
        named = [
            Row(row.number, row.key, None, values)
            for row in rows
            if (
                values := {
                    _CONTACT[name]: row.values[name] for name in _CONTACT.keys() & row.values
                }
            )
        ]
        found = self._members.find(named)
        if isinstance(found.failure, (ApolloError, RunError)):
            self._failure = self._failure or found.failure
        elif found.failure is not None:
            raise found.failure
        left = []
        has_name = {one.number for one in named}
        for row in rows:
            why = found.unknown.get(row.number)
            kind, contact_id = found.ids.get(row.number, (ObjectKind.CONTACTS, None))
            if row.number not in has_name:
                why = _NO_CONTACT
            if why is not None or kind is not ObjectKind.CONTACTS:
                batch.finish(row, Outcome.REJECTED, row.apollo_id, rejection=why or _NO_CONTACT)
            elif contact_id is not None:
                values = {k: v for k, v in row.values.items() if k not in _CONTACT}
                left.append(with_values(row, values={**values, CONTACT_ID: contact_id}))
        return left

    def creation(self, batch: Batch, row: Row) -> TaskWrite | None:
        """The request that makes a row's task; None if the row is rejected."""
        values = row.values
        missing = [name for name in NEEDED if not values.get(name)]
        if missing:
            named = " and ".join(
                "'owner_email'" if one == OWNER_ID else f"'{one}'" for one in missing
            )
            why = f"a task needs {named}, and the record has nothing there"
            batch.finish(row, Outcome.REJECTED, rejection=Rejection(Reason.MISSING_VALUE, why))
            return None
        key = likeness(values[CONTACT_ID], values[OWNER_ID], values[TYPE], values[DUE_AT])
        alike = self._search.is_alike(key)
        if alike is not None and not self._says_to_send(batch, row):
            self._reject_unknown(batch, row, f"Apollo has a task ({alike}) {_ALIKE}")
            return None
        self._note(batch, row, values)
        mark = self.mark_of(self.run.settings.source, row)
        return TaskWrite(row, creation_body(row, mark), marker=mark)

    def _note(self, batch: Batch, row: Row, held: Mapping[str, str | None]) -> None:
        """Notes for the row's link what its task holds, and when it is due."""
        if self.links is not None:
            history = batch.history_of(row)
            self.links.note_digests(history, digests(dict(held)))
            due = row.values.get(DUE_AT)
            if due:
                self.links.note_detail(history, due)

    def update(self, batch: Batch, row: Row) -> TaskWrite | None:
        """The requests that change a row's task; None if it is known that it needs none."""
        link = batch.history_of(row).link
        is_own = self._is_in_doubt(batch, row)
        # After a request without an answer the link has no id, and the task has what was sent.
        is_of_link = link is not None and link.apollo_id in (None, row.apollo_id)
        knows = is_of_link and not self.run.settings.full_resync
        of_row = RowOfTask(
            row,
            self.marks_of(batch, row),
            held_by(link.single_hashes if link is not None and knows else None, row.values),
            Policies() if is_own else self.policies,
            is_adopted=link is None or link.apollo_id != row.apollo_id,
        )
        shown = self._search.record(row.apollo_id or "")
        change = of_row.change_of(shown) if shown is not None else None
        if change is not None and not change.is_needed:
            self._finish_change(batch, row, change, is_own=is_own)
            return None
        self._note(batch, row, {name: row.values[name] for name in of_row.held})
        return TaskWrite(row, {}, row.apollo_id, is_completion=is_own, of_row=of_row)

    def _finish_change(self, batch: Batch, row: Row, change: TaskChange, *, is_own: bool) -> None:
        """Gives a row its outcome by what was sent of it."""
        held = {name: one for name, one in row.values.items() if name not in change.protected}
        self._note(batch, row, held)
        self.run.counts.count_protected(self.object.name, change.protected)
        if is_own:
            self.finish_made(batch, row)
        elif change.is_left_alone:
            self.notices.task_ended()
            batch.finish(row, Outcome.SKIPPED, row.apollo_id)
        elif change.is_needed:
            self.run.limits.updated += 1
            batch.finish(row, Outcome.UPDATED, row.apollo_id)
        else:
            outcome = Outcome.SKIPPED if change.protected else Outcome.UNCHANGED
            batch.finish(row, outcome, row.apollo_id)

    # --- requests

    def _needed(self, writes: Sequence[TaskWrite]) -> dict[str, int]:
        return needed(writes)

    def send(self, write: TaskWrite) -> WrittenTask:
        """Makes or changes a task, in a thread of the pool."""
        return send(self._client, write, reads=self.run.dry_run is None)

    def _count(self, write: TaskWrite) -> None:
        """Counts a creation; what is sent to a task that there is, is known from its answer."""
        if write.apollo_id is None:
            self.run.limits.created += 1

    def take_answer(self, batch: Batch, write: TaskWrite, answer: WrittenTask) -> None:
        """Gives a row its outcome by the task that Apollo answered."""
        row, change, task_id = write.row, answer.change, str(answer.task["id"])
        sent = write.body if change is None else change.body
        endpoint = self.create_endpoint if change is None else self.update_endpoint
        if answer.is_gone:
            self.skip_gone(batch, row, task_id)
            return
        refused = unconfirmed(sent, answer.task, endpoint) if sent else None
        if refused is not None:
            batch.finish(row, Outcome.REJECTED, task_id, rejection=refused)
        elif change is None:
            batch.finish(row, Outcome.CREATED, task_id)
        else:
            self._finish_change(batch, row, change, is_own=write.is_completion)


def _several(ids: Sequence[str]) -> Rejection:
    listed = ", ".join(ids[:5])
    return Rejection(
        Reason.IDENTITY_CONFLICT,
        f"several tasks of Apollo have the mark of this row ({listed}): delete all but one, or "
        "name one in 'apollo_id'",
    )
