"""`SyncRun`: what all streams of a run share: client, ledger, counts, rejects, notices, limits."""

from __future__ import annotations

import logging
import math
import threading
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import Any

from target_apollo.apollo import (
    AnotherRecord,
    ApolloClient,
    RequestRefused,
    Transport,
    TransportProtocol,
    Wait,
)
from target_apollo.apollo.record_reader import RecordReader
from target_apollo.config.credentials import auth_of
from target_apollo.config.profile_file import profile_of_team
from target_apollo.config.settings import Settings
from target_apollo.ledger import Ledger, LedgerError, Link, SharedWindows
from target_apollo.model.objects.registry import OBJECTS, Json, ObjectKind, ObjectType
from target_apollo.model.outcomes import Outcome
from target_apollo.sync.adopt.adoption import Adoption
from target_apollo.sync.batch import PendingFlush
from target_apollo.sync.concurrency import RequestPool
from target_apollo.sync.counts import (
    DuplicateAudit,
    Position,
    RequestCounter,
    RunCounts,
    WriteLimits,
    scarcest,
)
from target_apollo.sync.creates.dedupe_check import DedupeCheck
from target_apollo.sync.dry_run.dry_run import DryRun
from target_apollo.sync.dry_run.ledger import RunLedger
from target_apollo.sync.dry_run.sample_diffs import SampleDiffs
from target_apollo.sync.exit import RunError
from target_apollo.sync.notices import Notices
from target_apollo.sync.rejects.rejects import Rejects
from target_apollo.sync.source_record import SourceRecord
from target_apollo.sync.team.companies import Companies
from target_apollo.sync.team.connection import UNTOLD, connection_of_run
from target_apollo.sync.team.directory import Directory
from target_apollo.sync.team.routes import TeamRoutes
from target_apollo.sync.updates.bulk_requests import UpdateRoutes
from target_apollo.sync.updates.record_pages import RecordPages
from target_apollo.sync.updates.update_plan import PlannedUpdate

_NOT_WRITTEN = (Outcome.UNCHANGED, Outcome.EXISTING, Outcome.SKIPPED)
#: Number of records with an outcome before the share of rejects can stop a run.
_ABORT_AFTER = 100


class SyncRun:
    """One run from its first message to its end."""

    def __init__(self, settings: Settings, logger: logging.Logger) -> None:
        self.settings = settings
        self.logger = logger
        self.run_id = uuid.uuid4().hex[:12]
        self.stop = threading.Event()
        self._wait: Wait | None = None
        #: Hashes of the addresses of rejected rows, which are at the source and so not missing.
        self.unwritten_addresses: set[str] = set()
        #: Stream -> links as they were before their keys went to other records.
        self.left_links: defaultdict[str, list[Link]] = defaultdict(list)
        #: Whether the user has said to make records that earlier requests may have made.
        self.resends_unknown = False
        #: Whether STATE passes: not in a dry run, and not if `max_records` limits the input.
        self.advances_state = not settings.dry_run and settings.max_records is None
        #: Number of the record up to which STATE has passed.
        self.state_at: int | None = None
        self.counts = RunCounts(self.run_id)
        self.limits = WriteLimits(
            settings.max_creates, settings.max_updates, max_enrolments=settings.max_enrolments
        )
        self.rejects = Rejects(settings, self.run_id, self.counts, logger)
        self.notices = Notices(settings, self.counts, logger)
        self.pool = RequestPool(settings.parallel_requests, self.stop)
        self.pending_flush = PendingFlush()
        self.transport = Transport(
            api_url=settings.api_url,
            auth=auth_of(settings, self.stop),
            max_retries=settings.max_retries,
            request_timeout_seconds=settings.request_timeout_seconds,
            max_wait_seconds=settings.max_wait_seconds,
            parallel_requests=settings.parallel_requests,
            stop=self.stop,
            on_wait=self._say_wait,
            quota_share=settings.quota_share,
            learns_limits=True,
        )
        self.dry_run = DryRun(self.transport) if settings.dry_run else None
        #: Sends requests; in a dry run it simulates the answers to those that write.
        self.sender: TransportProtocol = self.dry_run.transport if self.dry_run else self.transport
        self.client = ApolloClient(self.sender)
        self._team_routes = TeamRoutes(self.client)
        # The profile of a probe may change these, once the team is known (`_use_profile`).
        #: Objects that are created with their keys alone, while an update writes the rest.
        self.in_two_steps: frozenset[ObjectKind] = frozenset(
            ObjectKind if settings.create_in_two_steps else ()
        )
        #: Objects whose records Apollo does not recognise, so that a creation makes a second one.
        self.doubled: frozenset[ObjectKind] = frozenset()
        #: Whether the owner in a creating request is given to records that exist, too.
        self.owner_reaches_existing = False
        #: Whether a search for contacts by words finds none, although they are there.
        self.finds_no_words = False
        #: What a dry run has found out about the requests of a run; empty before its end.
        self.estimate: Mapping[str, Any] = {}
        #: The ledger after its first use; None before, and without a ledger.
        self._opened_ledger: RunLedger | None = None
        #: The rate windows that runs share through the ledger; None before its first use.
        self._shared_windows: SharedWindows | None = None
        #: The Apollo team's id after its first use.
        self.team: str | None = None
        #: The summary; empty until the run has ended.
        self.summary: Mapping[str, Any] = {}
        self.request_counter = RequestCounter(
            self.transport.window_states, None if settings.dry_run else self.logger
        )
        quota = self.dry_run.limits.quota if self.dry_run else self.transport.quota
        self.update_routes = UpdateRoutes(quota, settings.quota_share, logger)
        self.record_pages = {
            kind: RecordPages(
                self.client,
                object_type,
                self.pool,
                self.update_routes,
                self.request_counter,
                settings.parallel_requests,
            )
            for kind, object_type in OBJECTS.items()
        }
        self.dedupe_checks = {
            kind: DedupeCheck(self.client, object_type, self.logger, is_dry_run=settings.dry_run)
            for kind, object_type in OBJECTS.items()
        }
        #: The streams of the input, by the names of their sinks.
        self.streams: set[str] = set()
        #: Objects of which values wait in the ledger for Apollo's limits.
        self.fields_wait: set[ObjectKind] = set()
        self.companies = Companies(self.client, in_two_steps=settings.create_in_two_steps)
        self.directory = Directory(
            self.client,
            settings.custom_fields,
            logger,
            self.pending_flush,
            self.companies,
            default_owner=settings.default_owner,
            allowed_domains=settings.allow_domains,
        )
        #: What the streams of an adoption share; None in a run.
        self.adoption: Adoption | None = None
        self.audit = DuplicateAudit(self.counts, self.dry_run.seen if self.dry_run else None)
        #: Samples of what a dry run would change, if `sample_diffs` is set.
        self.sample_diffs: SampleDiffs | None = None
        if self.dry_run is not None and settings.sample_diffs:
            self.sample_diffs = SampleDiffs(settings.sample_diffs, self.dry_run, self.directory)

    @cached_property
    def connection(self) -> str:
        """The name that the ledger has for the Apollo team; errors as from `connection_of_run`."""
        team = connection_of_run(self.client, self.settings)
        doing = "Run %s writes to Apollo team %s at %s"
        if self.adoption is not None:
            doing = "Adoption %s reads Apollo team %s at %s and writes nothing there"
        elif self.dry_run is not None:
            doing = "Dry run %s plans for Apollo team %s at %s and writes nothing"
        self.logger.info(
            doing,
            self.run_id,
            team,
            self.settings.api_url,
            extra={"run_id": self.run_id, "team": team},
        )
        self.team = team
        if team != UNTOLD:
            # Without the team's id, nothing tells that the profile is not another team's.
            self._use_profile(team)
        return team

    def _use_profile(self, team: str) -> None:
        """Goes from now on by what a probe has found out about the team's Apollo.

        Raises:
            SettingsError: The profile can't be read.
        """
        settings = self.settings
        profile = profile_of_team(settings.profile_path, team, settings.api_url, self.logger)
        self._team_routes.use_profile(profile)
        self.in_two_steps |= {kind for kind in OBJECTS if profile.overwrites_matched(kind.value)}
        self.doubled = frozenset(kind for kind in OBJECTS if profile.duplicates_matched(kind.value))
        self.owner_reaches_existing = profile.owner_reaches_existing
        self.finds_no_words = profile.finds_no_words
        self.companies.in_two_steps = ObjectKind.ACCOUNTS in self.in_two_steps
        self.notices.in_two_steps = frozenset(kind.value for kind in self.in_two_steps)

    @cached_property
    def ledger(self) -> RunLedger | None:
        """The ledger, opened at the first flush; None if `ledger_url` is empty.

        Raises:
            LedgerError: It can't be opened.
        """
        if not self.settings.ledger_url:
            return None
        url = self.settings.ledger_url
        connection = self.connection
        is_overlaid = self.dry_run is not None and self.adoption is None
        ledger = self.dry_run.ledger(url) if self.dry_run and is_overlaid else Ledger.open(url)
        if connection.startswith(UNTOLD):
            found = ledger.take_over(UNTOLD, connection)
            self.notices.new_key(found, is_dry_run=self.dry_run is not None)
        ledger.begin_run(
            self.run_id,
            connection,
            [],
            self.mode_name,
            self.counts.started_at,
        )
        self._opened_ledger = ledger
        self._team_routes.recall(ledger, connection)
        if isinstance(ledger, Ledger):
            self._shared_windows = ledger.shared_windows(connection)
            self.transport.share_windows(self._shared_windows)
        return ledger

    def begin_adoption(self) -> None:
        """From now on rows are linked to records that Apollo has, and nothing is written there.

        It is a dry run, which sends no request that writes, but for the ledger, which is real.
        """
        self.adoption = Adoption(self.client, RecordReader(self.transport))

    @property
    def mode_name(self) -> str:
        """The setting `mode`; ``adopt`` in an adoption."""
        return self.settings.mode.value if self.adoption is None else "adopt"

    @property
    def has_ledger(self) -> bool:
        """Whether the setting `ledger_url` names a ledger."""
        return bool(self.settings.ledger_url)

    @property
    def opened_ledger(self) -> RunLedger | None:
        """The ledger after its first use; None before, and without a ledger."""
        return self._opened_ledger

    def skip(self, record: SourceRecord) -> None:
        """Counts a record that reaches no sink as skipped."""
        if self.rejects.on_outcome is not None:
            self.rejects.on_outcome(record)
        self.counts.count(record.stream, Outcome.SKIPPED)

    def room(self, endpoint: str) -> float:
        """Requests that an endpoint takes now without a wait; infinite where no limit is known."""
        if self.dry_run is not None:
            return math.inf
        states = self.transport.window_states(endpoint)
        return min(max(0, state.allowed - state.used) for state in states)

    def asked_room(self, endpoint: str) -> float:
        """As `room`, after asking Apollo for its limits; only before a request that is no GET."""
        if self.dry_run is None:
            self.transport.learn_limits()
        return self.room(endpoint)

    def room_without_long_waits(self, endpoint: str) -> float:
        """As `asked_room`, but requests may wait for the next minute."""
        if self.dry_run is not None:
            return math.inf
        self.transport.learn_limits()
        _, *longer = self.transport.window_states(endpoint)
        return min(max(0, state.allowed - state.used) for state in longer)

    def sample(
        self, object_type: ObjectType, stream: str, updates: Sequence[PlannedUpdate]
    ) -> None:
        """Adds the changes to the samples of the dry run, if `sample_diffs` is set."""
        if self.sample_diffs is not None:
            self.sample_diffs.add(object_type, stream, updates)

    def read(
        self, object_type: ObjectType, apollo_ids: Sequence[str]
    ) -> list[Json | RequestRefused | AnotherRecord]:
        """Reads records in parallel; gives each record, or why it is not known.

        Apollo may refuse to show it, or answer with another one.

        Raises:
            ApolloError: The run can't go on.
        """
        of = object_type.endpoints
        self.request_counter.plan_requests({of.read: len(apollo_ids)})
        answers: list[Json | RequestRefused | AnotherRecord] = []
        for answer in self.pool.run([partial(self.client.read, of, one) for one in apollo_ids]):
            if isinstance(answer, Exception) and not isinstance(
                answer, (RequestRefused, AnotherRecord)
            ):
                raise answer
            answers.append(answer)
        return answers

    def check_limits(self) -> None:
        """Stops a run with too many rejected records before it has read a whole table.

        Raises:
            RunError: More than `abort_rejected_percent` of the records were rejected.
        """
        percent = self.counts.rejected_percent
        if self.counts.settled >= _ABORT_AFTER and percent > self.settings.abort_rejected_percent:
            raise RunError(
                f"{percent:.1f} % of {self.counts.settled} records were rejected, more than "
                f"abort_rejected_percent ({self.settings.abort_rejected_percent:g}): the run "
                f"stopped. See {self.rejects.location} for the reasons."
            )

    def position(self, part: float | None) -> Position:
        """The progress of the run; may be called by any thread.

        Args:
            part: The part of the input that was read, 0 to 1; None if its size is unknown.

        Raises:
            RuntimeError: Another thread added a stream's counts during the call.
        """
        total = self.counts.total
        return Position(
            read=self.counts.received,
            written=total(Outcome.CREATED) + total(Outcome.UPDATED),
            without=sum(total(one) for one in _NOT_WRITTEN),
            rejected=total(Outcome.REJECTED),
            requests=sum(self.transport.counters.snapshot()["requests"].values()),
            state_at=self.state_at,
            scarcest=scarcest(self.transport.quota.snapshot()),
            wait=self._wait,
            part=part,
        )

    def close(self) -> None:
        """Ends threads and connections."""
        self.pool.close()
        several = self.dry_run.apollo.several_accounts if self.dry_run else {}
        self.audit.finish(self.companies.several, several)
        if self.dry_run is not None:
            if self.adoption is None:
                self.estimate = self.dry_run.estimate(self.settings, self.counts.may_follow)
            else:
                self.adoption.close()
            self.dry_run.close()
        self.transport.close()
        if self._shared_windows is not None:
            self._shared_windows.close()

    def close_unused(self) -> None:
        """Ends threads and connections of a dry run that has planned nothing."""
        self.pool.close()
        if self.dry_run is not None:
            self.dry_run.close()
        self.transport.close()

    def close_ledger(self, summary: Mapping[str, Any]) -> None:
        """Notes the end of the run in the ledger and closes it; logs it if that fails.

        Args:
            summary: The summary of the run.
        """
        ledger = self._opened_ledger
        if ledger is None:
            return
        try:
            self._team_routes.keep(ledger, self.connection)
            ledger.finish_run(
                self.run_id, summary["records"], summary["exit_code"], summary["ended_because"]
            )
            ledger.close()
        except LedgerError as problem:
            self.logger.error("The end of the run is not in the ledger: %s", problem)

    def _say_wait(self, wait: Wait) -> None:
        self._wait = wait
        self.logger.info(
            "Waiting %.1f s until %s before %s: %s",
            wait.seconds,
            wait.until.isoformat(timespec="seconds"),
            wait.endpoint,
            wait.reason.value,
            extra={"endpoint": wait.endpoint, "seconds": wait.seconds},
        )
