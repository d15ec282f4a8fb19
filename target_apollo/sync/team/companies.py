"""Apollo's accounts by their domain, for rows that link to them.

Apollo searches accounts by name only. So a domain is looked up among the accounts that this run
wrote, then in the ledger, and then by one walk through all accounts, a hundred per request, the
newest first. The ledger keeps the accounts that the walk finds and the page at which it stops. The
next run continues there. After a walk has read all pages, later walks read only newer accounts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice

from target_apollo.apollo import (
    MAX_BULK,
    ApolloClient,
    EndpointForbidden,
    QuotaExhausted,
    RequestRefused,
    is_id,
)
from target_apollo.apollo.endpoints import MOST_PAGES
from target_apollo.ledger import Walk, match_hash
from target_apollo.model.match_keys import addresses
from target_apollo.model.objects.registry import ACCOUNT, Json
from target_apollo.model.times import moment
from target_apollo.sync.dry_run.ledger import RunLedger
from target_apollo.sync.team.directory import find_records

#: Most unknown domains of a run that are searched by name, if a walk needs more requests.
_FEW = 3
#: Requests of such a search: by the domain and by its first part.
_SEARCHES = 2
#: Most pages that a run reads for a few domains that no search has found.
_PAGES_FOR_FEW = 20
#: Apollo may show an account later than a newer one.
_OVERLAP = timedelta(hours=1)


class Companies:
    """The accounts of one team by domain; for one thread.

    Attributes:
        several: Domain -> ids, for looked up domains that belong to several accounts.
        is_read: Whether all accounts are known, so that an unknown domain has no account.
    """

    def __init__(self, client: ApolloClient, *, in_two_steps: bool = False) -> None:
        """`in_two_steps` is the setting `create_in_two_steps`."""
        self._client = client
        #: Whether accounts are created with their domain alone, and an update writes the name.
        self.in_two_steps = in_two_steps
        self._ids: dict[str, str] = {}
        self._missing: set[str] = set()
        self.several: dict[str, list[str]] = {}
        self.is_read = False
        #: Apollo's limits, after they ended the walk and rows were written without their accounts.
        self._limit: QuotaExhausted | None = None
        self._ledger: RunLedger | None = None
        self._connection = ""
        #: Whether the ledger's accounts from earlier walks are used.
        self._trusts_ledger = True
        self._walk: Walk | None = None
        #: Whether an earlier run began the walk: Apollo may have newer accounts than it has read.
        self._is_resumed = False
        #: Whether this run has found the place where the earlier run stopped.
        self._has_joined = True
        self._pages = MOST_PAGES
        self._searched = 0
        self._spare_pages = _PAGES_FOR_FEW

    def use_ledger(self, ledger: RunLedger, connection: str, *, trusts_ledger: bool) -> None:
        """From now on asks the ledger first, and saves in it the accounts that are found.

        Args:
            connection: The Apollo team's id.
            trusts_ledger: Whether accounts that earlier walks found are used.
        """
        if self._ledger is None:
            self._ledger, self._connection = ledger, connection
            self._trusts_ledger = trusts_ledger

    def learn(self, domain: str, account_id: str) -> None:
        """Notes an account that this run wrote."""
        self._ids[domain] = account_id

    @property
    def stopped(self) -> bool:
        """Whether Apollo's limits ended the walk, so that accounts count as missing for now."""
        return self._limit is not None

    def find(self, domain: str) -> str | None:
        """The id of a domain's account, looked up if necessary; None if there is none."""
        if domain not in self._ids and domain not in self._missing:
            self.look_up([domain], may_wait=self.stopped)
        return self._ids.get(domain)

    def look_up(self, domains: Collection[str], *, may_wait: bool) -> None:
        """Looks up the accounts of domains.

        Args:
            may_wait: Whether rows may be written without an account that Apollo's limits kept from
                being found; a later run then looks it up.

        Raises:
            ApolloError: Apollo could not be asked.
            LedgerError: The ledger can't be read or written.
        """
        wanted = {domain for domain in domains if domain not in self._ids} - self._missing
        self._ask_ledger(wanted)
        try:
            self._ask_apollo(wanted)
        except QuotaExhausted as limit:
            if not may_wait:
                raise
            self._limit = limit
        if self._limit is not None and not may_wait and self._left(domains):
            # Rows that may wait ended the walk: nobody knows whether these accounts are missing.
            raise self._limit
        self._missing |= self._left(wanted)

    def make(self, names: Mapping[str, str]) -> int:
        """Creates accounts for domains, a hundred per request; returns how many were created.

        Apollo treats two companies with the same name as one account: a domain that gets no account
        for this reason is sent again with the domain as name. Refused domains are left out.

        Args:
            names: Domain -> the company's name.

        Raises:
            ApolloError: Apollo could not be asked.
            LedgerError: The ledger can't be written.
        """
        made = self._make([(domain, name or domain) for domain, name in names.items()])
        return made + self._make([(domain, domain) for domain in self._left(names)])

    def _make(self, companies: Iterable[tuple[str, str]]) -> int:
        left = iter(companies)
        made = 0
        while some := list(islice(left, MAX_BULK)):
            made += self._make_some(some)
        return made

    def _make_some(self, some: list[tuple[str, str]]) -> int:
        items: list[Json] = [{"name": name, "domain": domain} for domain, name in some]
        if self.in_two_steps:
            items = [{"domain": domain} for domain, _ in some]
        try:
            answer = self._client.create(ACCOUNT.endpoints, items)
        except RequestRefused:
            if len(some) == 1:
                return 0
            middle = len(some) // 2
            return self._make_some(some[:middle]) + self._make_some(some[middle:])
        asked = {domain for domain, _ in some}
        self._note([*answer.existing, *answer.created], asked)
        if self.in_two_steps:
            self._give_names(answer.created, dict(some))
        return sum(not asked.isdisjoint(addresses(ACCOUNT, one)) for one in answer.created)

    def _give_names(self, created: Sequence[Json], names: Mapping[str, str]) -> None:
        """Names accounts that were created by their domain alone; without a name they stay."""
        named: list[Json] = [
            {"id": one["id"], "name": names[domain]}
            for one in created
            for domain in addresses(ACCOUNT, one)
            if domain in names
        ]
        if named:
            with suppress(EndpointForbidden, QuotaExhausted, RequestRefused):
                self._client.bulk_update(ACCOUNT.endpoints, named)

    def _left(self, domains: Iterable[str]) -> set[str]:
        return {domain for domain in domains if domain not in self._ids}

    # --- the ledger

    def _ask_ledger(self, wanted: Collection[str]) -> None:
        if self._ledger is None or not wanted:
            return
        domains = {match_hash(domain): domain for domain in wanted}
        found = {}
        if self._trusts_ledger:
            found = self._ledger.company_ids(self._connection, list(domains))
        found = {**found, **self._ledger.account_ids_by_match(self._connection, list(domains))}
        for hashed, account_id in found.items():
            if is_id(account_id):
                self._ids[domains[hashed]] = account_id

    def _save(self, ids: Mapping[str, str]) -> None:
        if self._ledger is None or not ids:
            return
        hashed = {match_hash(domain): account_id for domain, account_id in ids.items()}
        if self._trusts_ledger:
            # Of several accounts with one domain, the ledger keeps the one that it has.
            for known in self._ledger.company_ids(self._connection, list(hashed)):
                del hashed[known]
        self._ledger.save_companies(self._connection, hashed)

    # --- Apollo

    def _ask_apollo(self, wanted: Collection[str]) -> None:
        if self._is_done(wanted):
            return
        self._read_pages(wanted, 1)
        left = self._left(wanted)
        # With a ledger some more pages are worth it: it keeps the accounts for later runs.
        worth = max(_SEARCHES * len(left), self._spare_pages if self._ledger else 0)
        pages = self._pages - self._begun().next_page + 1
        if self._searched + len(left) > _FEW or pages <= worth:
            self._read_pages(left, MOST_PAGES)
            return
        for domain in left:
            if self._is_done([domain]):
                continue
            self._searched += 1
            self._note(find_records(self._client, ACCOUNT, domain), {domain})
        if self._ledger is not None:
            self._spare_pages -= self._read_pages(left, self._spare_pages)

    def _is_done(self, wanted: Collection[str]) -> bool:
        return self.is_read or self.stopped or not self._left(wanted)

    def _read_pages(self, wanted: Collection[str], most: int) -> int:
        """Continues the walk until all domains are found; returns how many pages were read."""
        read = 0
        while read < most and not self._is_done(wanted):
            self._read_page(wanted)
            read += 1
        return read

    def _begun(self) -> Walk:
        """How far the accounts were read, from the ledger at the first call."""
        if self._walk is None:
            stored = None
            if self._ledger is not None and self._trusts_ledger:
                stored = self._ledger.walk(self._connection)
            self._walk = stored or Walk(1)
            if self._walk.next_page > 1:
                # One page back, since deleted accounts move the others to earlier pages.
                self._is_resumed, self._has_joined = True, False
                self._walk = Walk(self._walk.next_page - 1, self._walk.newest, self._walk.reached)
        return self._walk

    def _read_page(self, wanted: Collection[str]) -> None:
        walk = self._begun()
        answer = self._client.newest_page(ACCOUNT.endpoints, walk.next_page)
        accounts, self._pages = answer.records, min(answer.pages, MOST_PAGES)
        self._has_joined = self._has_joined or walk.next_page == 1 or self._follows(accounts, walk)
        if not self._has_joined:
            # Its accounts are not saved yet: after a restart they would look like a place where
            # the walk has been. The page is read again later.
            self._walk = Walk(walk.next_page - 1, walk.newest, walk.reached)
            return
        newest = walk.newest or next(filter(None, map(_created_at, accounts)), None)
        # Accounts created since the walk began are kept by the next one, which reads them without
        # a gap.
        self._note(accounts, set(wanted), up_to=moment(newest))
        if accounts and walk.next_page < self._pages and not _any_older(accounts, walk.reached):
            self._walk = Walk(walk.next_page + 1, newest, walk.reached)
        else:
            # If an earlier run began the walk, another walk has to read the accounts created since.
            self._walk = Walk(1, None, newest or walk.reached)
            self.is_read = not self._is_resumed
            self._is_resumed = False
        if self._ledger is not None:
            self._ledger.save_walk(self._connection, self._walk)

    def _follows(self, accounts: Sequence[Json], walk: Walk) -> bool:
        """Whether there is no unread account between this page and the pages that were read.

        There is none if this walk has already read one of the page's accounts, or if the page has
        one that is newer than all accounts read. Accounts of an earlier walk prove nothing.
        """
        first = moment(next(filter(None, map(_created_at, accounts)), None))
        begin, end = moment(walk.newest), moment(walk.reached)
        if first is not None and begin is not None and first > begin:
            return True
        newer = [
            one
            for one in accounts
            if end is None or (time := moment(_created_at(one))) is None or time > end
        ]
        hashes = {match_hash(domain) for one in newer for domain in addresses(ACCOUNT, one)}
        if len(newer) < len(accounts) and not hashes:
            return False
        if self._ledger is None or not hashes:
            # Accounts without a domain can't be compared. A page after the last one is empty.
            return bool(accounts)
        return bool(self._ledger.company_ids(self._connection, hashes))

    def _note(
        self, accounts: Iterable[Json], wanted: set[str], *, up_to: datetime | None = None
    ) -> None:
        """Notes accounts by their domain; of several with one domain, the first.

        Args:
            up_to: When the newest account was created that the ledger may keep; None for all.
        """
        new: dict[str, str] = {}
        for account in accounts:
            account_id = str(account["id"])
            created_at = moment(_created_at(account))
            may_be_kept = up_to is None or created_at is None or created_at <= up_to
            for domain in addresses(ACCOUNT, account):
                known = self._ids.setdefault(domain, account_id)
                if known == account_id:
                    if may_be_kept:
                        new[domain] = account_id
                elif domain in wanted:
                    ids = self.several.setdefault(domain, [known])
                    if account_id not in ids:
                        ids.append(account_id)
        self._save(new)


def _created_at(account: Json) -> str | None:
    told = account.get("created_at")
    return told if isinstance(told, str) and moment(told) is not None else None


def _any_older(accounts: Iterable[Json], reached: str | None) -> bool:
    """Whether an account is so old that an earlier walk has read it and all older ones."""
    end = moment(reached)
    if end is None:
        return False
    times = (moment(_created_at(account)) for account in accounts)
    return any(time < end - _OVERLAP for time in times if time is not None)
