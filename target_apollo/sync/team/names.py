"""Replaces the names in rows by ids that Apollo takes: of owners, stages and accounts.

Accounts that rows name and Apollo lacks are created first, where `missing_accounts` asks for it.

Unchanged rows are found before this, by the names, so that an unchanged row is not rejected when
its owner has left the team. The names of the other rows of a batch are looked up here, together.

A row may be written without a name that Apollo does not know. The payload hash in its link then
includes that name, so that the next run looks it up again; if it is still unknown, the row is
unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace as with_values

from target_apollo.apollo import MAX_BULK
from target_apollo.model.objects.registry import ACCOUNT, BY_EMAIL, LINKS
from target_apollo.model.outcomes import Outcome, Reason, RecordError
from target_apollo.model.policies import Policies
from target_apollo.model.rows import MissingAccounts, Mode, Row, Values
from target_apollo.model.texts.domains import FREE_MAIL
from target_apollo.sync.batch import Batch
from target_apollo.sync.links.not_given import NotGiven, as_in_link
from target_apollo.sync.links.recall import RowHistory, hash_of_kept_stage, payload_hash_of
from target_apollo.sync.run import SyncRun


class Resolved(msgspec.Struct, frozen=True):
    """A row with ids in place of names.

    Attributes:
        waits_for: Field name -> the id that is written in place of an unknown name; None if none is
            written.
    """

    row: Row
    waits_for: Values


@dataclass(frozen=True)
class NameResolver:
    """Resolves the names of one stream's rows.

    Attributes:
        policies: None if all of them are `overwrite`.
    """

    run: SyncRun
    stream: str
    mode: Mode
    policies: Policies | None

    def resolve(self, batch: Batch, rows: Sequence[Row]) -> list[Row]:
        """The rows with ids in place of names, without rows that get their outcome here.

        A row is rejected for a name that Apollo does not know, unless it may be written without it.
        A row is unchanged if the ledger has the hash of its ids, as earlier versions wrote it, or
        if the unknown name that it waits for is still unknown.

        Raises:
            ApolloError: Apollo could not be asked.
            InvalidRecord, RunError: As `Batch.finish`; or the setting `default_owner` is wrong.
        """
        look_up_accounts(self.run, rows, self.mode)
        left: list[Row] = []
        #: Keys and ids of records that a row of the batch changes: the ledger's hash is outdated.
        changing: set[str | None] = set()
        for row in rows:
            resolved = self._finish_or_resolve(batch, row, changing) if row.names else row
            if resolved is not None:
                changing.update({row.match_key, row.apollo_id, *row.more_keys} - {None})
                left.append(resolved)
        return left

    def _finish_or_resolve(self, batch: Batch, row: Row, changing: set[str | None]) -> Row | None:
        history = batch.history_of(row)
        is_alone = history.may_be_unchanged and changing.isdisjoint(
            (row.match_key, row.apollo_id, *row.more_keys)
        )
        try:
            resolved = self._resolve(row)
        except RecordError as problem:
            held = self._held(history, row, self._with_former_owner(row)) if is_alone else None
            if held is not None:
                self._finish_unchanged(batch, row, held)
            else:
                batch.finish(row, Outcome.REJECTED, rejection=problem.rejection)
            return None
        if resolved.waits_for:
            unresolved = self.run.counts.unresolved[self.stream]
            unresolved.update(row.names[name][0] for name in resolved.waits_for)
            batch.wait_for(row, payload_hash_of(row, self.policies, resolved.waits_for))
        held = self._held(history, row, resolved) if is_alone else None
        if held is not None:
            self._finish_unchanged(batch, row, held)
            return None
        return resolved.row

    def _resolve(self, row: Row) -> Resolved:
        return resolved(self.run, row, self.run.directory.resolve, self.run.settings.drops)

    def _held(self, history: RowHistory, row: Row, resolved: Resolved | None) -> NotGiven | None:
        """What Apollo does not hold of a row that is unchanged by the ledger; None if it is not.

        The ledger has the hash of the row and of the names that it waits for; or, from an earlier
        version, the hash of the row with ids.
        """
        link = history.link
        if link is None or resolved is None or not link.holds_something:
            return None
        with_names = [payload_hash_of(row, one, resolved.waits_for) for one in self._may_be_under]
        if any(map(link.holds, with_names)):
            return as_in_link(row, link)
        protected = self.run.settings.protected_stages
        if any(link.holds(hash_of_kept_stage(one, protected)) for one in with_names):
            return with_values(as_in_link(row, link), stage=True)
        with_ids = (payload_hash_of(resolved.row, one) for one in self._may_be_under)
        return as_in_link(row, link) if any(map(link.holds, with_ids)) else None

    @property
    def _may_be_under(self) -> tuple[Policies | None, ...]:
        """The policies, and none: the row may have been written before there were any."""
        return (self.policies, None) if self.policies else (None,)

    def _with_former_owner(self, row: Row) -> Resolved | None:
        """The row with the id of its former owner; None if another name is unknown."""
        directory = self.run.directory
        ids: Values = {}
        for name, (prop, text) in row.names.items():
            try:
                ids[name] = directory.former_owner(prop, text) or directory.resolve(prop, text)
            except RecordError:
                return None
        return Resolved(_with_ids(row, ids), {})

    def _finish_unchanged(self, batch: Batch, row: Row, not_given: NotGiven) -> None:
        history = batch.history_of(row)
        apollo_id = history.link.apollo_id if history.link else None
        batch.finish(
            row,
            Outcome.UNCHANGED,
            apollo_id,
            updated_at=history.updated_at,
            not_given=not_given,
        )
        batch.cache.remember_named(row, apollo_id)


def _with_ids(row: Row, ids: Mapping[str, str | None]) -> Row:
    return with_values(row, values={**row.values, **ids}, names={})


def resolved(
    run: SyncRun,
    row: Row,
    resolve: Callable[[str, str], str],
    drops: Callable[[str], bool],
) -> Resolved:
    """The row with ids, and the unknown names that it waits for.

    Args:
        resolve: As `Directory.resolve`.
        drops: As `Settings.drops`.

    Raises:
        RecordError: Apollo does not know a name, and the row may not be written without it.
        ApolloError: Apollo could not be asked.
        RunError: The setting `default_owner` is wrong.
    """
    ids: Values = {}
    waits_for: Values = {}
    for name, (prop, text) in row.names.items():
        try:
            ids[name] = resolve(prop, text)
        except RecordError as problem:
            if problem.rejection.reason is not Reason.UNKNOWN_NAME:
                raise
            if prop == "owner_email" and run.directory.default_owner is not None:
                ids[name] = waits_for[name] = run.directory.default_owner
            elif prop == BY_EMAIL or drops(prop):
                waits_for[name] = None
            else:
                raise
    return Resolved(_with_ids(row, ids), waits_for)


def look_up_accounts(
    run: SyncRun, rows: Sequence[Row], mode: Mode, *, may_wait: bool = True
) -> None:
    """Looks up the accounts of all domains that rows name; may create missing accounts.

    Args:
        may_wait: Whether a link that is not written now can be written later.

    Raises:
        ApolloError, LedgerError, RunError: The run can't go on.
    """
    settings = run.settings
    wanted: dict[str, str] = {}
    for row in rows:
        for prop, text in row.names.values():
            if prop in LINKS or prop == BY_EMAIL:
                with suppress(RecordError):
                    domain = run.directory.account_domain(prop, text)
                    name = row.values.get("organization_name") or ""
                    wanted[domain] = wanted.get(domain) or name
    if not wanted:
        return
    companies = run.companies
    if run.ledger is not None:
        trusts = not settings.full_resync
        companies.use_ledger(run.ledger, run.connection, trusts_ledger=trusts)
    may_wait = may_wait and all(map(settings.drops, LINKS))
    companies.look_up(wanted, may_wait=may_wait)
    makes = settings.missing_accounts is MissingAccounts.CREATE and companies.is_read
    if makes and mode is not Mode.UPDATE:
        _make_accounts(run, wanted)


def _make_accounts(run: SyncRun, wanted: Mapping[str, str]) -> None:
    missing = {
        domain: name
        for domain, name in wanted.items()
        if domain not in FREE_MAIL and run.companies.find(domain) is None
    }
    left = list(missing.items())
    while left:
        allowed = run.limits.creates_allowed(len(left))
        requests = -(-min(allowed, len(left)) // MAX_BULK)
        run.request_counter.plan_requests({ACCOUNT.endpoints.create: requests})
        made = run.companies.make(dict(left[:allowed]))
        run.limits.created += made
        run.counts.accounts_made += made
        # Accounts that Apollo already had do not count against the limit.
        left = left[allowed:]
