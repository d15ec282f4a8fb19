"""The counts of a run: outcomes, writes with their limits, planned requests.

They make up the summary at the end of the run: one log line and one JSON file.
"""

from __future__ import annotations

import json
import logging
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from target_apollo.apollo import Wait, WindowState
from target_apollo.apollo.forecast import schedule
from target_apollo.model.outcomes import Outcome, Reason
from target_apollo.model.rows import key_text
from target_apollo.sync.exit import RunError
from target_apollo.sync.rejects.causes import CauseCounts
from target_apollo.sync.sequences.enrolment_counts import EnrolmentCounts
from target_apollo.sync.words import plural
from target_apollo.system.files import write_private
from target_apollo.system.shown import escaped

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

    def summary(
        self, *, exit_code: int, ended_because: str, api: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The summary as it is written to `summary_path`.

        Args:
            ended_because: Why the run ended early, a sentence; empty if it read all its input.
            api: Requests, retries and waits as the client counted them.
        """
        ended_at = datetime.now(timezone.utc)
        return {
            "run_id": self.run_id,
            "started_at": self.started_at.isoformat(timespec="milliseconds"),
            "ended_at": ended_at.isoformat(timespec="milliseconds"),
            "seconds": round((ended_at - self.started_at).total_seconds(), 3),
            "exit_code": exit_code,
            "ended_because": ended_because,
            "records": {
                "received": self.received,
                "split": self.split,
                **{outcome.value: self.total(outcome) for outcome in Outcome},
                "without_outcome": self.received + self.split - self.settled,
            },
            "streams": {
                stream: {
                    **{outcome.value: counts[outcome] for outcome in Outcome},
                    "rejected_because": {
                        reason.value: number for reason, number in self.rejected[stream].items()
                    },
                }
                for stream, counts in sorted(self.outcomes.items())
            },
            "left_out": dict(self.left_out),
            "rejected_before": dict(self.rejected_before),
            "rejected_causes": self.causes.as_json(),
            "unknown_fields": self.unknown_fields,
            "protected": {kind: dict(found) for kind, found in self.protected.items()},
            "accounts_made": self.accounts_made,
            "unresolved": {
                stream: dict(found) for stream, found in self.unresolved.items() if found
            },
            "deleted": dict(self.deleted),
            "removed": dict(self.removed),
            "returned": dict(self.returned),
            "to_follow": dict(self.to_follow),
            "follow_from": (
                self.follow_from.isoformat(timespec="seconds") if self.follow_from else None
            ),
            "followed": dict(self.followed),
            "not_followed": dict(self.not_followed),
            "identity": {
                stream: {
                    verdict: {"count": count, "keys": self.identity_keys[stream][verdict]}
                    for verdict, count in found.items()
                }
                for stream, found in self.identity.items()
            },
            "enrolments": self.enrolments.summary,
            "not_writable": {name: dict(found) for name, found in self.not_writable.items()},
            "duplicates": {"found": self.duplicates, "listed": self.duplicate_keys},
            "api": api,
        }


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


def summary_line(summary: Mapping[str, Any]) -> str:
    """The summary as one log line."""
    records = summary["records"]
    counts = ", ".join(f"{outcome.value} {records[outcome.value]}" for outcome in Outcome)
    reasons: Counter[str] = Counter()
    for stream in summary["streams"].values():
        reasons.update(stream["rejected_because"])
    why = f" ({', '.join(f'{name} {n}' for name, n in reasons.most_common())})" if reasons else ""
    before = sum(summary["rejected_before"].values())
    if before:
        why += f", {before} of these as before"
    split = records["split"]
    rows = f", split into {records['received'] + split} rows" if split else ""
    open_ = records["without_outcome"]
    left = f", left for the next run {open_}" if open_ else ""
    kept: Counter[str] = Counter()
    for found in summary["protected"].values():
        kept.update(found)
    named = ", ".join(f"{name} {n}" for name, n in kept.most_common())
    kept_line = f"; protected {kept.total()} values: {named}" if kept else ""
    moved, returned = sum(summary["deleted"].values()), sum(summary["returned"].values())
    moved_line = f"; moved {moved} whose rows are gone" if moved else ""
    removed = sum(summary["removed"].values())
    moved_line += f"; removed {plural(removed, 'member')} whose rows are gone" if removed else ""
    moved_line += f"; gave back {returned} whose rows returned" if returned else ""
    moved_line += _following(summary)
    requests = sum(summary["api"].get("requests", {}).values())
    end = f" {summary['ended_because']}" if summary["ended_because"] else ""
    return (
        f"Run {summary['run_id']} ended with exit code {summary['exit_code']}: received "
        f"{records['received']}{rows}: {counts}{why}{left}{kept_line}{moved_line}; "
        f"{requests} requests in {summary['seconds']:.1f} s.{end}"
    )


def _following(summary: Mapping[str, Any]) -> str:
    """The part of the line on values that were, or are still to be, sent after their rows."""
    sent = sum(summary["followed"].values())
    refused = sum(summary["not_followed"].values())
    left = sum(summary["to_follow"].values())
    if summary.get("dry_run"):
        return f"; {plural(left, 'field')} of earlier runs to follow" if left else ""
    line = f"; sent {plural(sent, 'field')} that had waited" if sent else ""
    line += f"; {plural(refused, 'field')} that had waited could not be written" if refused else ""
    if left:
        line += f"; {plural(left, 'field')} to follow in later runs"
        since = summary["follow_from"]
        line += f", from {datetime.fromisoformat(since):%Y-%m-%d %H:%M:%S} UTC" if since else ""
    return line


def write_summary(path: Path, summary: Mapping[str, Any]) -> None:
    """Writes the summary, readable by its owner only.

    Raises:
        OSError: The file can't be written.
    """
    text = escaped(json.dumps(summary, indent=2, ensure_ascii=False, default=str))
    write_private(path, f"{text}\n".encode())


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
