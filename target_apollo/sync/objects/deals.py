"""Writes deals: one a request, each with a mark by which it is found again.

The ledger knows the deal of a row that was written before. For the others the `DealIndex` tells,
by one pass through Apollo's deals, whether one has the row's mark; only where none has is a deal
made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from msgspec.structs import replace as with_values

from target_apollo.apollo import QuotaExhausted, Stage, endpoints
from target_apollo.apollo.object_clients import DealClient
from target_apollo.ledger import LinkStatus
from target_apollo.model.compare import holds
from target_apollo.model.objects.deal import ACCOUNT_ID, DEAL, DEAL_STAGE, NAME, STAGE_ID
from target_apollo.model.objects.deal_values import creation_body, unconfirmed, update_body
from target_apollo.model.objects.registry import ACCOUNT_DOMAIN, Json
from target_apollo.model.objects.stream_object import Normalise
from target_apollo.model.outcomes import Outcome, Reason, RecordError, Rejection
from target_apollo.model.policies import apply_policies, needs_the_record
from target_apollo.model.row_marks import mark_of
from target_apollo.model.rows import Mode, Row
from target_apollo.model.texts.spelling import folded, no_such, value_of
from target_apollo.sync.batch import Batch
from target_apollo.sync.exit import RunError
from target_apollo.sync.objects.deal_index import DealIndex
from target_apollo.sync.objects.mark_index import first_known
from target_apollo.sync.objects.single_writes import SAME_KEY, SingleWrite, SingleWriteSync
from target_apollo.sync.team.names import Resolved, look_up_accounts, resolved

#: The types of custom fields that hold any text.
_TEXTS = ("string", "textarea")
_UPDATE_NEEDS_DEAL = Rejection(
    Reason.UPDATE_NEEDS_ID,
    "update needs the deal: Apollo has none with the key of this row; give the stream a property "
    "'apollo_id', or write the row in mode upsert first",
)
_TOO_MANY_DEALS = Rejection(
    Reason.OUTCOME_UNKNOWN,
    "Apollo shows 50,000 deals and has more: nothing tells whether one of the others is of this "
    "row, so none is made; fill in 'apollo_id' if there is one, or make it in Apollo with the key "
    "of the row in its custom field (deal_key_field)",
)


class DealSync(SingleWriteSync[SingleWrite, Json]):
    """Writes one stream of deals."""

    create_endpoint = endpoints.CREATE_DEAL
    update_endpoint = endpoints.UPDATE_DEAL
    update_needs_id = _UPDATE_NEEDS_DEAL

    @cached_property
    def _client(self) -> DealClient:
        return DealClient(self.run.sender)

    @cached_property
    def _index(self) -> DealIndex:
        if isinstance(self.sibling, DealSync):
            return self.sibling._index
        return DealIndex(self.run, self._client, self._mark_field)

    @cached_property
    def _mark_field(self) -> str:
        """Id of the custom field that tells which row a deal is of.

        Raises:
            RunError: There is none, or none that holds a text.
            ApolloError: Apollo could not be asked for its custom fields.
        """
        label = self.run.settings.deal_key_field
        found = self.run.directory.custom_field(DEAL, label)
        if found is None:
            same = self.run.directory.same_labels(DEAL, label)
            several = f"several custom fields ({', '.join(same)})" if same else "no custom field"
            raise RunError(
                f"Apollo has {several} of deals called '{label}' (setting deal_key_field)"
                f"{self.run.directory.label_meant(DEAL, label)}, and "
                f"without one a deal could be made twice: make it, of type text, with `apollo-sync "
                f"fields --create-missing-fields` (it needs the tap's --catalog), or name another.",
                exit_code=2,
            )
        if found.type not in _TEXTS:
            raise RunError(
                f"The custom field '{found.label}' of deals (setting deal_key_field) is of type "
                f"{found.type}, and the key of a row is a text: name a field of type text.",
                exit_code=2,
            )
        return found.id

    def check_settings(self) -> None:
        """Checks also that there is a field for the key of a row."""
        super().check_settings()
        _ = self._mark_field

    def custom_field(self, name: str) -> tuple[str, Normalise] | None:
        """Id and normaliser of the custom field for a property, except that of the mark."""
        found = super().custom_field(name)
        return None if found is None or found[0] == self._mark_field else found

    # --- plan

    def deletion(self, batch: Batch, row: Row) -> SingleWrite | None:
        """The request that moves the deal of a deleted row to the stage in `on_delete`."""
        stage, stage_id = self.run.settings.on_delete.stage, None
        if stage and self.mode is not Mode.INSERT:
            stage_id = self._stage_ids.get(folded(stage))
            if stage_id is None:
                self.notices.no_deal_stage(stage)
        else:
            self.run.notices.deletions_ignored(self.stream)
        if stage_id is None or row.apollo_id is None:
            batch.finish(row, Outcome.SKIPPED, row.apollo_id)
            return None
        moved = with_values(row, values={STAGE_ID: stage_id}, custom={}, names={})
        if self.was_done(batch, moved):
            return None
        return SingleWrite(moved, {STAGE_ID: stage_id}, row.apollo_id)

    def find_records(self, batch: Batch, rows: Sequence[Row]) -> list[Row]:
        """The rows with the ids of their deals, without those whose deal can't be told."""
        unknown = [row for row in rows if not row.apollo_id]
        if not unknown:
            return list(rows)
        marks = {row.number: self.marks_of(batch, row) for row in unknown}
        wanted = {mark for some in marks.values() for mark in some}
        lost = [row for row in unknown if batch.history_of(row).sent_by]
        try:
            found = self._index.find(wanted, self.latest_start(batch, lost))
        except (QuotaExhausted, RunError) as failure:
            # The other rows can be written.
            self._failure = failure
            return [row for row in rows if row.apollo_id]
        several = {one for ids in found.values() if len(ids) > 1 for one in ids}
        there = self._index.read(sorted(several)) if several else {}
        taken: set[str] = set()
        left = []
        for row in rows:
            if row.apollo_id:
                left.append(row)
                continue
            _, ids = first_known(found, marks[row.number])
            ids = tuple(one for one in ids if one in there or one not in several)
            mark = marks[row.number][0]
            if len(ids) > 1 or mark in taken:
                why = _several(ids) if len(ids) > 1 else SAME_KEY
                batch.finish(row, Outcome.REJECTED, rejection=why)
            elif not ids and not self._index.has_all:
                batch.finish(row, Outcome.REJECTED, rejection=_TOO_MANY_DEALS)
            else:
                self.found.update(ids)
                left.append(with_values(row, apollo_id=ids[0] if ids else None))
            taken.add(mark)
        return left

    def mark_of(self, source: str, row: Row) -> str:
        """The text in the custom field of a row's deal."""
        return mark_of(source, self.stream, row.key)

    def _mark(self, row: Row) -> dict[str, str]:
        return {self._mark_field: self.mark_of(self.run.settings.source, row)}

    def may_complete(self, batch: Batch, row: Row) -> bool:
        """Whether the deal of a row in mode `insert` was made for the row, and may be written."""
        link = batch.history_of(row).link
        is_open = link is not None and link.status in (LinkStatus.PENDING, LinkStatus.ERROR)
        # Else the row itself names the deal, or somebody has given it the mark of the row.
        is_same = link is not None and link.apollo_id == row.apollo_id
        is_own = is_open and (is_same or self._is_lost(batch, row))
        if not is_own:
            batch.finish(row, Outcome.EXISTING, row.apollo_id)
        return is_own

    def _is_lost(self, batch: Batch, row: Row) -> bool:
        """Whether a row's deal was made by a request whose answer was lost, and the index found it.

        A deal that the row itself names is somebody else's.
        """
        history = batch.history_of(row)
        has_no_id = history.link is None or not history.link.apollo_id
        return bool(history.sent_by) and has_no_id and row.apollo_id in self.found

    def with_ids_of_names(self, batch: Batch, rows: Sequence[Row]) -> list[Row]:
        """The rows with ids in place of names; all accounts are looked up at once."""
        look_up_accounts(self.run, rows, self.mode, may_wait=False)
        return super().with_ids_of_names(batch, rows)

    def resolve_names(self, row: Row) -> Resolved:
        """The row with the ids of its owner, stage and account."""
        if not row.names:
            return Resolved(row, {})
        drops = self.run.settings.drops
        if not row.apollo_id and value_of(self.run.settings.unresolved, ACCOUNT_DOMAIN) is None:
            # A deal that was made without its account can't be given one.
            return resolved(
                self.run, row, self._resolve, lambda prop: prop != ACCOUNT_DOMAIN and drops(prop)
            )
        return resolved(self.run, row, self._resolve, drops)

    def _resolve(self, prop: str, text: str) -> str:
        if prop != DEAL_STAGE:
            return self.run.directory.resolve(prop, text)
        found = self._stage_ids.get(folded(text))
        if found is None:
            known = [stage.name for stage in self._stages]
            raise RecordError(Reason.UNKNOWN_NAME, no_such("deal stage", prop, text, known))
        return found

    @cached_property
    def _stages(self) -> list[Stage]:
        return self._client.stages()

    @cached_property
    def _stage_ids(self) -> Mapping[str, str]:
        """Name as `folded` spells it -> id; of two stages of one name, the first."""
        found: dict[str, str] = {}
        for stage in self._stages:
            found.setdefault(folded(stage.name), stage.id)
        return found

    def read_needed(self, rows: Sequence[Row]) -> None:
        """Reads the deals whose values decide what policies allow."""
        if not self.policies.protect:
            return
        ids = [
            row.apollo_id
            for row in rows
            if row.apollo_id
            and needs_the_record(self.policies, DEAL, row, self._index.record(row.apollo_id))
        ]
        if ids:
            self._index.read(ids)

    def creation(self, batch: Batch, row: Row) -> SingleWrite | None:
        """The request that makes a row's deal; None if the row is rejected."""
        if not row.values.get(NAME):
            why = "a deal needs 'name' to be made, and the record has nothing there"
            rejected = Rejection(Reason.MISSING_VALUE, why)
            batch.finish(row, Outcome.REJECTED, rejection=rejected)
            return None
        return SingleWrite(row, creation_body(row, self._mark(row)))

    def update(self, batch: Batch, row: Row) -> SingleWrite | None:
        """The request that changes a row's deal; None if the deal holds all that may be written."""
        apollo_id = row.apollo_id or ""
        before = self._index.record(apollo_id)
        is_own = self._is_lost(batch, row)
        allowed = row
        protected: tuple[str, ...] = ()
        if self.policies.protect and not is_own:
            result = apply_policies(self.policies, DEAL, row, before, None)
            allowed, protected = result.row, result.protected
            if protected:
                self.run.counts.count_protected(self.object.name, protected)
        if before is not None:
            self._compare_account(row, before)
        body = update_body(allowed, self._mark(row), before)
        writes_values = bool(allowed.custom) or any(one != ACCOUNT_ID for one in allowed.values)
        if body and (writes_values or before is not None):
            return SingleWrite(row, body, apollo_id, before, is_completion=is_own)
        if is_own:
            self.finish_made(batch, row)
        else:
            outcome = Outcome.SKIPPED if protected else Outcome.UNCHANGED
            batch.finish(row, outcome, apollo_id)
        return None

    def _compare_account(self, row: Row, deal: Json) -> None:
        wanted = row.values.get(ACCOUNT_ID)
        if wanted and not holds(DEAL.fields[ACCOUNT_ID], deal, wanted):
            self.notices.account_stays()

    # --- requests

    def send(self, write: SingleWrite) -> Json:
        """Makes or changes a deal, in a thread of the pool."""
        if write.apollo_id is None:
            return self._client.create(write.body)
        return self._client.update(write.apollo_id, self.run.client.emptied(write.body))

    def take_answer(self, batch: Batch, write: SingleWrite, answer: Json) -> None:
        """Gives a row its outcome by the deal that Apollo answered."""
        row, deal_id = write.row, str(answer["id"])
        mark = self._mark(row)
        if not row.deleted:
            self._index.learn(mark[self._mark_field], answer)
        creates = write.apollo_id is None
        endpoint = self.create_endpoint if creates else self.update_endpoint
        refused = unconfirmed(write.body, answer, mark, endpoint)
        if not creates and write.before is None:
            self._compare_account(row, answer)
        if refused is not None:
            batch.finish(row, Outcome.REJECTED, deal_id, rejection=refused)
            return
        is_new = creates or write.is_completion
        batch.finish(row, Outcome.CREATED if is_new else Outcome.UPDATED, deal_id)


def _several(ids: Sequence[str]) -> Rejection:
    listed = ", ".join(ids[:5])
    return Rejection(
        Reason.IDENTITY_CONFLICT,
        f"several deals of Apollo have the key of this row ({listed}): delete all but one, or name "
        "one in 'apollo_id'",
    )
