"""What a run counts: outcomes, duplicates, writes with their limits, planned requests.

`summary` shows these counts at the end of the run.
"""

from __future__ import annotations

import logging
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from target_apollo.apollo import Wait, WindowState
from target_apollo.apollo.forecast import schedule
from target_apollo.model.match_keys import CUSTOM, kind_of
from target_apollo.model.objects.registry import OBJECTS, ObjectType
from target_apollo.model.outcomes import Outcome, Reason
from target_apollo.model.rows import Row, key_text
from target_apollo.model.texts.domains import FREE_MAIL
from target_apollo.sync.dry_run.known_records import SeenRows
from target_apollo.sync.exit import RunError
from target_apollo.sync.rejects.causes import CauseCounts
from target_apollo.sync.sequences.enrolment_counts import EnrolmentCounts

FREE_MAIL_DOMAIN, SEVERAL_ACCOUNTS = "free_mail_domain", "several_accounts"
#: Most groups of duplicates that the summary lists; it counts all of them.
_LISTED_DUPLICATES = 100
#: Most keys of rows that the summary lists for each verdict on identity.
_LISTED_IDENTITY_KEYS = 20


@dataclass
class RunCounts:
    """The counts of a run so far, and what its summary lists.

    Every record that is received gets one outcome, also one that a stream map leaves out
    (`skipped`). A record that stream maps hand to several streams gets one in each of them, and
    `split` counts all but the first. So `received` and `split` are together the sum of all
    outcomes and of the rows that have none yet.
    """

    run_id: str
    started_at: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    #: Records that have arrived, which are numbered so: the first is 1.
    received: int = 0
    outcomes: dict[str, Counter[Outcome]] = field(default_factory=lambda: defaultdict(Counter))
    split: int = 0
    rejected: dict[str, Counter[Reason]] = field(default_factory=lambda: defaultdict(Counter))
    #: Records of streams that the setting `streams` leaves out; their outcome is `skipped`.
    left_out: Counter[str] = field(default_factory=Counter)
    #: Of the rejected records, those that an earlier run rejected as they are.
    rejected_before: Counter[str] = field(default_factory=Counter)
    #: Why records were rejected, without a value of them.
    causes: CauseCounts = field(default_factory=CauseCounts)
    unknown_fields: dict[str, list[str]] = field(default_factory=dict)
    not_writable: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    protected: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    #: Accounts that were created for rows that name their domain.
    accounts_made: int = 0
    unresolved: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    deleted: Counter[str] = field(default_factory=Counter)
    #: Stream -> members that were taken off lists.
    removed: Counter[str] = field(default_factory=Counter)
    returned: Counter[str] = field(default_factory=Counter)
    #: In a dry run: endpoint -> requests for values that later runs may send (`pending_fields`).
    may_follow: Counter[str] = field(default_factory=Counter)
    #: Stream -> values that are still to be sent, those that were sent after their row, and those
    #: that Apollo did not take then.
    to_follow: Counter[str] = field(default_factory=Counter)
    followed: Counter[str] = field(default_factory=Counter)
    not_followed: Counter[str] = field(default_factory=Counter)
    #: From when Apollo's limits take more of them; None if nothing is known of that.
    follow_from: datetime | None = None
    #: Stream -> verdict on identity -> number of rows; and the first of their keys.
    identity: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    identity_keys: dict[str, dict[str, list[str]]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    enrolments: EnrolmentCounts = field(default_factory=EnrolmentCounts)
    duplicates: int = 0
    duplicate_keys: list[dict[str, Any]] = field(default_factory=list)

    def count(self, stream: str, outcome: Outcome, number: int = 1) -> None:
        """Counts records of a stream with one outcome."""
        self.outcomes[stream][outcome] += number

    def count_rejected(self, stream: str, reason: Reason, *, again: bool = False) -> None:
        """Counts a rejected record with its reason.

        Args:
            again: Whether an earlier run has rejected the same record for the same reason.
        """
        if again:
            self.rejected_before[stream] += 1
        self.outcomes[stream][Outcome.REJECTED] += 1
        self.rejected[stream][reason] += 1

    def count_duplicates(
        self,
        stream: str,
        groups: Iterable[Sequence[Sequence[object]]],
        kind: str,
        *,
        apollo_ids: Sequence[str] = (),
    ) -> None:
        """Counts groups of duplicate rows, and of rows with a domain of several or no companies.

        Args:
            groups: The source keys of each group.
            kind: What the rows of a group have in common, such as ``same_email``.
            apollo_ids: The Apollo accounts that share a domain.
        """
        for keys in groups:
            self.duplicates += 1
            if len(self.duplicate_keys) < _LISTED_DUPLICATES:
                group: dict[str, Any] = {
                    "stream": stream,
                    "keys": [key_text(key) for key in keys],
                    "kind": kind,
                }
                self.duplicate_keys.append(
                    {**group, "apollo_ids": list(apollo_ids)} if apollo_ids else group
                )

    def count_protected(self, kind: str, names: Iterable[str]) -> None:
        """Counts values that a policy did not allow for an existing contact or account."""
        self.protected[kind].update(names)

    def count_identity(self, stream: str, verdict: str, key: str) -> None:
        """Counts a row whose identity had to be decided, by the verdict.

        Args:
            verdict: Value of `identity.verdicts.Verdict`.
            key: The row's source key in a form that may be logged.
        """
        self.identity[stream][verdict] += 1
        listed = self.identity_keys[stream].setdefault(verdict, [])
        if len(listed) < _LISTED_IDENTITY_KEYS:
            listed.append(key)

    def count_deleted(self, stream: str, number: int = 1) -> None:
        """Counts records that were moved because their rows were deleted at the source."""
        self.deleted[stream] += number

    def count_removed(self, stream: str, number: int = 1) -> None:
        """Counts members that were taken off lists, since no row names them."""
        self.removed[stream] += number

    def count_returned(self, stream: str, number: int) -> None:
        """Counts moved records that were given back, since their rows returned."""
        if number:
            self.returned[stream] += number

    def total(self, outcome: Outcome) -> int:
        """Records of all streams with an outcome."""
        return sum(counts[outcome] for counts in self.outcomes.values())

    @property
    def settled(self) -> int:
        """Number of records that have an outcome."""
        return sum(sum(counts.values()) for counts in self.outcomes.values())

    @property
    def rejected_newly(self) -> int:
        """Rejected records of all streams, without those that an earlier run rejected so."""
        return self.total(Outcome.REJECTED) - self.rejected_before.total()

    @property
    def rejected_percent(self) -> float:
        """Share of newly rejected records among those with an outcome, 0 to 100."""
        settled = self.settled
        return 100 * self.rejected_newly / settled if settled else 0.0


def duplicates(rows: Iterable[Row]) -> dict[str, tuple[tuple[object, ...], ...]]:
    """Match key -> source keys, for rows that share their first match key."""
    rows = list(rows)
    match_keys = [row.match_key for row in rows if row.match_key]
    if len(set(match_keys)) == len(match_keys):
        return {}
    found: dict[str, dict[tuple[object, ...], None]] = defaultdict(dict)
    for row in rows:
        if row.match_key:
            found[row.match_key][row.key] = None
    return {match_key: tuple(held) for match_key, held in found.items() if len(held) > 1}


def shared_by(object_type: ObjectType, match_key: str) -> str:
    """The name in the summary for rows that share a match key, such as "same_email"."""
    kind = kind_of(object_type, match_key)
    return "same_custom_field" if kind.startswith(CUSTOM) else f"same_{kind}"


class DuplicateAudit:
    """Finds the duplicates of one run, for the summary.

    Args:
        seen: Stores the rows of a dry run; None if only the rows of a batch are compared.
    """

    def __init__(self, counts: RunCounts, seen: SeenRows | None) -> None:
        self._counts = counts
        self._seen = seen

    def note(self, stream: str, object_type: ObjectType, rows: Sequence[Row]) -> None:
        """Counts the duplicates among the rows of a batch, or stores the rows."""
        if self._seen is None:
            by_kind: dict[str, list[tuple[tuple[object, ...], ...]]] = defaultdict(list)
            for match_key, group in duplicates(rows).items():
                by_kind[shared_by(object_type, match_key)].append(group)
            for kind, groups in by_kind.items():
                self._counts.count_duplicates(stream, groups, kind)
        else:
            shared = [(row.match_key, key_text(row.key)) for row in rows if row.match_key]
            self._seen.note(stream, object_type.kind, shared)
        if object_type.is_matched_by_domain:
            free = [(row.key,) for row in rows if row.match_key in FREE_MAIL]
            self._counts.count_duplicates(stream, free, FREE_MAIL_DOMAIN)

    def finish(self, *several_accounts: Mapping[str, Sequence[str]]) -> None:
        """Counts the duplicates that are known only at the end of the run.

        Args:
            several_accounts: Domain -> Apollo ids of the accounts that share it.
        """
        if self._seen is not None:
            for stream, kind, match_key, source_keys in self._seen.shared():
                shared = [[(key,) for key in source_keys]]
                why = shared_by(OBJECTS[kind], match_key)
                self._counts.count_duplicates(stream, shared, why)
        found = {domain: ids for several in several_accounts for domain, ids in several.items()}
        for domain, ids in sorted(found.items()):
            self._counts.count_duplicates(
                "accounts", [((domain,),)], SEVERAL_ACCOUNTS, apollo_ids=ids
            )


@dataclass
class WriteLimits:
    """The limits of a run's writes, against mistakes in the source.

    Attributes:
        max_creates: None for no limit.
        max_updates: None for no limit.
        max_enrolments: None for no limit.
    """

    max_creates: int | None = None
    max_updates: int | None = None
    created: int = 0
    updated: int = 0
    max_enrolments: int | None = None
    enrolled: int = 0

    def creates_allowed(self, wanted: int) -> int:
        """How many of `wanted` rows may be sent to be created.

        Raises:
            RunError: The limit is reached, so none may.
        """
        return _allowed("max_creates", self.max_creates, self.created, wanted)

    def updates_allowed(self, wanted: int) -> int:
        """How many of `wanted` records may be updated.

        Raises:
            RunError: The limit is reached, so none may.
        """
        return _allowed("max_updates", self.max_updates, self.updated, wanted)

    def enrolments_allowed(self, wanted: int) -> int:
        """How many of `wanted` contacts may be sent to be enrolled into sequences.

        Raises:
            RunError: The limit is reached, so none may.
        """
        return _allowed("max_enrolments", self.max_enrolments, self.enrolled, wanted)


#: Setting -> what a run would do beyond it.
_BEYOND = {
    "max_creates": "create more records",
    "max_updates": "update more records",
    "max_enrolments": "enrol more contacts",
}


def _allowed(setting: str, limit: int | None, used: int, wanted: int) -> int:
    if limit is None or wanted == 0:
        return wanted
    if used >= limit:
        raise RunError(
            f"The run has come to {setting} ({limit}) and would {_BEYOND[setting]}, so it stopped "
            f"before that. Look at why so many rows are there, or raise {setting}."
        )
    return min(wanted, limit - used)


class RequestCounter:
    """Sums the requests that a run plans. Not thread-safe.

    Args:
        states: Returns the states of an endpoint's rate windows, shortest first.
        logger: Logs a line if the requests must wait for the next minute; None in a dry run, which
            does not wait.
    """

    def __init__(
        self, states: Callable[[str], Sequence[WindowState]], logger: logging.Logger | None
    ) -> None:
        self._states = states
        self._logger = logger
        self._requests: Counter[str] = Counter()

    @property
    def requests(self) -> dict[str, int]:
        """Requests planned so far, by endpoint."""
        return dict(self._requests)

    def plan_requests(self, requests: Mapping[str, int]) -> None:
        """Adds requests that are about to be sent, by endpoint."""
        for endpoint, count in requests.items():
            if count:
                self._requests[endpoint] += count
                if count > 1:
                    self.announce_wait(endpoint, count)

    def announce_wait(self, endpoint: str, count: int) -> None:
        """Logs until when requests will be sent, if this minute does not take all of them."""
        if self._logger is None:
            return
        planned = schedule(count, self._states(endpoint))
        if planned.fits[0] or not math.isfinite(planned.seconds):
            return
        done_at = datetime.now(timezone.utc) + timedelta(seconds=planned.seconds)
        self._logger.info(
            "%d requests to %s are due and this minute takes %d more: they will be sent by "
            "%s UTC, in %.0f s",
            count,
            endpoint,
            planned.left[0],
            done_at.strftime("%Y-%m-%d %H:%M:%S"),
            planned.seconds,
            extra={"endpoint": endpoint, "requests": count, "seconds": round(planned.seconds, 1)},
        )


@dataclass(frozen=True)
class Scarcest:
    """The rate window with the smallest part left, by Apollo's last answers."""

    endpoint: str
    window: str
    left: int
    limit: int


@dataclass(frozen=True)
class Position:
    """The progress of a run.

    Attributes:
        read: Records read.
        written: Records created or updated.
        without: Records with an outcome without a write: unchanged, existing or skipped.
        state_at: Number of the record up to which STATE has passed; None before the first STATE.
        part: The part of the input that was read, 0 to 1; None if its size is unknown.
    """

    read: int
    written: int
    without: int
    rejected: int
    requests: int
    state_at: int | None = None
    scarcest: Scarcest | None = None
    wait: Wait | None = None
    part: float | None = None

    @property
    def settled(self) -> int:
        """Records with an outcome."""
        return self.written + self.without + self.rejected


def scarcest(quota: Mapping[str, Mapping[str, Mapping[str, int | None]]]) -> Scarcest | None:
    """The window with the smallest part left; None if no limit is known.

    Args:
        quota: Endpoint -> window -> limit, usage and left, as from `Quota`.
    """
    found = [
        Scarcest(endpoint, name, left, limit)
        for endpoint, windows in quota.items()
        for name, window in windows.items()
        if (left := window["left"]) is not None and (limit := window["limit"])
    ]
    return min(found, key=lambda one: one.left / one.limit, default=None)
