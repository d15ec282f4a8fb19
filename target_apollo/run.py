"""What the sinks of one run share: the client, the counts, the rejects, and the run's limits."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
from singer_sdk.exceptions import InvalidRecord

from target_apollo.api import (
    ApolloClient,
    EndpointForbidden,
    RequestRefused,
    Transport,
    Wait,
)
from target_apollo.auditing import DuplicateAudit
from target_apollo.credentials import auth_of
from target_apollo.directory import Directory
from target_apollo.ending import RunError
from target_apollo.ledger import Ledger, LedgerError
from target_apollo.limits import WriteLimits
from target_apollo.objects import ObjectType
from target_apollo.outcomes import Outcome, Rejection
from target_apollo.parallel import Parallel
from target_apollo.pending_updates import Update
from target_apollo.progress import Position, scarcest
from target_apollo.reckoning import Reckoner
from target_apollo.rehearsing.rehearsal import Rehearsal
from target_apollo.rehearsing.sampling import Sampler
from target_apollo.rejects import Former, RejectsFile
from target_apollo.reporting.plan import plan_sentences
from target_apollo.reporting.summary import RunReport, summary_line, write_summary
from target_apollo.rows import key_text
from target_apollo.settings import Settings
from target_apollo.update_routes import UpdateRoutes

#: Rejected records that get a log line of their own, per reason; the file has them all.
_LOGGED_REJECTS = 5
_NOT_WRITTEN = (Outcome.UNCHANGED, Outcome.EXISTING, Outcome.SKIPPED)
#: Records that must have an outcome before their share of rejects can stop a run.
_ABORT_AFTER = 100


class Received(msgspec.Struct, frozen=True):
    """A record as it came in, kept until it has its outcome.

    Attributes:
        stream: The stream as the tap calls it, before stream maps.
        record: The record before stream maps; what the rejects file holds.
        former: What an earlier run said of it, where it was rejected before.
        length: Bytes of its line, of which what it takes in memory is a multiple.
        deleted: Whether the tap marks its row as deleted.
    """

    number: int
    stream: str
    record: Mapping[str, Any]
    schema: Mapping[str, Any] | None
    key_properties: tuple[str, ...]
    former: Former | None = None
    length: int = 0
    deleted: bool = False

    @property
    def key(self) -> str:
        """The source key as it may be logged."""
        return key_text([self.record.get(name) for name in self.key_properties]) or "(no key)"


class Run:
    """One run from its first message to its summary."""

    def __init__(self, settings: Settings, logger: logging.Logger) -> None:
        self.settings = settings
        self.logger = logger
        self.run_id = uuid.uuid4().hex[:12]
        self.stop = threading.Event()
        self._wait: Wait | None = None
        #: The record up to which STATE has passed.
        self.state_at: int | None = None
        self._said_deleted: set[str] = set()
        self.report = RunReport(self.run_id)
        self.limits = WriteLimits(settings.max_creates, settings.max_updates)
        self.rejects = RejectsFile(Path(settings.rejects_path), self.run_id)
        #: Told of each record that has got its outcome.
        self.on_outcome: Callable[[Received], None] = _take_no_note
        self.parallel = Parallel(settings.parallel_requests, self.stop)
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
        self.rehearsal = Rehearsal(self.transport) if settings.dry_run else None
        self.client = ApolloClient(self.rehearsal.transport if self.rehearsal else self.transport)
        self._estimate: Mapping[str, Any] = {}
        #: What the run came to; empty until it has ended.
        self.summary: Mapping[str, Any] = {}
        self.reckoner = Reckoner(
            self.transport.standings, None if settings.dry_run else self.logger
        )
        quota = self.rehearsal.limits.quota if self.rehearsal else self.transport.quota
        self.update_routes = UpdateRoutes(quota, settings.quota_share, logger)
        self.directory = Directory(self.client, settings.custom_fields, logger)
        self.audit = DuplicateAudit(self.report, self.rehearsal.seen if self.rehearsal else None)
        self._sampler: Sampler | None = None
        if self.rehearsal is not None and settings.sample_diffs:
            self._sampler = Sampler(
                settings.sample_diffs, self.rehearsal.show, self.directory.custom_labels
            )

    @cached_property
    def connection(self) -> str:
        """The Apollo team that is written to; asking for it proves the credentials.

        ``GET /users/api_profile`` answers 401 to a wrong key, which ``/auth/health`` does not.

        Raises:
            ApolloError: The credentials are refused, or Apollo can't be reached.
        """
        try:
            team = self.client.profile().team_id
        except EndpointForbidden:
            # A key that may not ask who it is can still be allowed to write.
            team = "unknown"
        except RequestRefused as refusal:
            raise RunError(
                f"There is no Apollo API at the address in the setting api_url: it answers "
                f"{refusal.endpoint} with status {refusal.status}.",
                exit_code=2,
            ) from refusal
        self.logger.info(
            "Run %s writes to Apollo team %s at %s"
            if self.rehearsal is None
            else "Dry run %s plans for Apollo team %s at %s and writes nothing",
            self.run_id,
            team,
            self.settings.api_url,
            extra={"run_id": self.run_id, "team": team},
        )
        return team

    @cached_property
    def ledger(self) -> Ledger | None:
        """The ledger, opened with the first flush; None where `ledger_url` is empty.

        Raises:
            RunError: It can't be opened.
        """
        if not self.settings.ledger_url:
            return None
        url = self.settings.ledger_url
        try:
            ledger = self.rehearsal.ledger(url) if self.rehearsal else Ledger.open(url)
        except LedgerError as problem:
            raise RunError(str(problem), exit_code=2) from problem
        ledger.begin_run(
            self.run_id,
            self.connection,
            [],
            self.settings.mode.value,
            self.report.started_at,
        )
        return ledger

    @property
    def advances_state(self) -> bool:
        """Whether STATE passes: not where nothing is written, nor where only a part is read."""
        return not self.settings.dry_run and self.settings.max_records is None

    def say_left_unread(self) -> None:
        """Says that `max_records` ended the reading."""
        self.logger.info(
            "max_records: the first %d records are read and have their outcome; the rest of the "
            "input is passed over, and STATE is not advanced.",
            self.settings.max_records,
        )

    def settle(self, received: Received, outcome: Outcome) -> None:
        """Counts the outcome of a record that was not rejected."""
        self.on_outcome(received)
        self.report.count(received.stream, outcome)

    def reject(self, received: Received, rejection: Rejection) -> None:
        """Keeps a rejected record in the rejects file.

        Raises:
            InvalidRecord: `on_record_error` is ``fail``.
            RunError: The file can't be written.
        """
        if self.settings.on_record_error == "fail":
            raise InvalidRecord(
                f"{received.stream} {received.key} ({rejection.reason.value}): {rejection.detail}",
                {},
            )
        try:
            if self.rehearsal is None:
                self.rejects.append(
                    received.stream,
                    received.schema,
                    received.key_properties,
                    received.record,
                    rejection,
                    received.former,
                )
        except OSError as problem:
            raise self._unwritable(problem) from problem
        self.on_outcome(received)
        self._count_rejected(received.stream, received.key, rejection)

    def reject_line(self, line: bytes | int, line_number: int, rejection: Rejection) -> None:
        """Keeps a line that is no Singer message.

        Args:
            line: The line, or the bytes of one that was too long to be held.

        Raises:
            RunError: The rejects file can't be written.
        """
        try:
            if self.rehearsal is not None:
                pass
            elif isinstance(line, int):
                self.rejects.append_long_line(line, line_number, rejection)
            else:
                self.rejects.append_line(line, line_number, rejection)
        except OSError as problem:
            raise self._unwritable(problem) from problem
        self._count_rejected("(no stream)", f"line {line_number}", rejection)

    def keep_rejects(self) -> None:
        """Puts the rejected records on disk.

        Raises:
            RunError: The rejects file can't be written.
        """
        try:
            self.rejects.sync()
        except OSError as problem:
            raise self._unwritable(problem) from problem

    def sample(self, target: ObjectType, stream: str, updates: Sequence[Update]) -> None:
        """Keeps some of the changes, where `sample_diffs` asks for them."""
        if self._sampler is not None:
            self._sampler.take(target, stream, updates)

    def check_limits(self) -> None:
        """Stops a run in which most records are bad, before it goes through a whole table.

        Raises:
            RunError: More than `abort_rejected_percent` of the records were rejected.
        """
        percent = self.report.rejected_percent
        if self.report.settled >= _ABORT_AFTER and percent > self.settings.abort_rejected_percent:
            raise RunError(
                f"{percent:.1f} % of {self.report.settled} records were rejected, more than "
                f"abort_rejected_percent ({self.settings.abort_rejected_percent:g}): the run "
                f"stopped. See {self.rejects_place} for the reasons."
            )

    @property
    def rejects_place(self) -> str:
        """Where it stands why records were rejected, for sentences."""
        return str(self.rejects.path) if self.rehearsal is None else "the log and the summary"

    def note_unknown_fields(self, stream: str, kind: str, names: Sequence[str]) -> None:
        """Says once per stream which properties have no place in Apollo.

        Raises:
            RunError: The setting `unknown_fields` is ``fail``.
        """
        known = self.report.unknown_fields.setdefault(stream, [])
        new = [name for name in names if name not in known]
        if not new:
            return
        known += new
        shown = ", ".join(new[:30]) + (f" and {len(new) - 30} more" if len(new) > 30 else "")
        said = f"Stream '{stream}': no field of {kind} and no custom field has the name of {shown}"
        if self.settings.unknown_fields == "fail":
            raise RunError(
                f"{said}. The setting unknown_fields is 'fail', so nothing of this batch was "
                "written: leave them out in the catalog or a stream map, map them in "
                "custom_fields, or create the custom fields in Apollo.",
                exit_code=2,
            )
        if self.settings.unknown_fields == "warn":
            self.logger.warning("%s; they are not sent (unknown_fields).", said)

    def note_unwritable(self, kind: str, names: Sequence[str]) -> None:
        """Says once per field that Apollo changes it on no existing record."""
        for name in names:
            if not self.report.not_writable[kind][name]:
                self.logger.warning(
                    "Apollo has no endpoint that changes '%s' on existing %s; it is written when "
                    "they are created.",
                    name,
                    kind,
                )
            self.report.not_writable[kind][name] += 1

    def position(self, received: int, part: float | None) -> Position:
        """How far the run has come; for any thread.

        Args:
            received: Records read.
            part: Part of the input that is read, where its size is known.

        Raises:
            RuntimeError: A stream's first record was counted at this very moment.
        """
        total = self.report.total
        return Position(
            read=received,
            written=total(Outcome.CREATED) + total(Outcome.UPDATED),
            without=sum(total(one) for one in _NOT_WRITTEN),
            rejected=total(Outcome.REJECTED),
            requests=sum(self.transport.counters.snapshot()["requests"].values()),
            state_at=self.state_at,
            scarcest=scarcest(self.transport.quota.snapshot()),
            wait=self._wait,
            part=part,
        )

    def say_deletions_ignored(self, stream: str) -> None:
        """Says once per stream that deletions at the source change nothing in Apollo."""
        if stream not in self._said_deleted:
            self._said_deleted.add(stream)
            self.logger.info(
                "Stream '%s': rows are marked as deleted; their records stay as they are "
                "(on_delete).",
                stream,
            )

    def say_vanished_unknown(self, stream: str, *, has_ledger: bool) -> None:
        """Says why rows that a table no longer holds are not looked for."""
        why = (
            "a record came that can't be told from others, or none at all"
            if has_ledger
            else "there is no ledger that knows which rows there were (ledger_url)"
        )
        self.logger.warning(
            "Stream '%s' was sent as a whole, but it is not known which rows are gone: %s. No "
            "record was moved (on_delete).",
            stream,
            why,
        )

    def close(self) -> None:
        """Ends threads and connections."""
        self.parallel.close()
        several = self.rehearsal.team.several_accounts if self.rehearsal else {}
        self.audit.finish(self.directory.several_accounts, several)
        if self.rehearsal is not None:
            self._estimate = self.rehearsal.estimate(
                quota_share=self.settings.quota_share,
                max_wait_seconds=self.settings.max_wait_seconds,
                parallel_requests=self.settings.parallel_requests,
            )
            self.rehearsal.close()
        self.transport.close()

    def _close_ledger(self, summary: Mapping[str, Any]) -> None:
        ledger = self.__dict__.get("ledger")
        if ledger is None:
            return
        try:
            ledger.finish_run(
                self.run_id, summary["records"], summary["exit_code"], summary["ended_because"]
            )
            ledger.close()
        except LedgerError as problem:
            self.logger.error("The end of the run is not in the ledger: %s", problem)

    def summarise(self, received: int, exit_code: int, ended_because: str) -> dict[str, Any]:
        """Writes the summary, as a log line and to `summary_path`."""
        api = {
            **self.transport.counters.snapshot(),
            "quota": self.transport.quota.snapshot(),
            "closed": self.update_routes.closed,
        }
        summary = self.report.summary(
            received=received, exit_code=exit_code, ended_because=ended_because, api=api
        )
        summary |= {
            "team": self.__dict__.get("connection"),
            "mode": self.settings.mode.value,
            "dry_run": self.settings.dry_run,
            "max_records": self.settings.max_records,
            "estimate": self._estimate or {"requests": self.reckoner.requests},
        }
        if self._sampler is not None:
            summary["diffs"] = self._sampler.diffs
        self.summary = summary
        path = Path(self.settings.summary_path or f".target-apollo/runs/{self.run_id}.json")
        self._close_ledger(summary)
        level = logging.INFO if exit_code == 0 else logging.ERROR
        if self.settings.dry_run:
            for sentence in plan_sentences(summary):
                self.logger.info("Plan: %s", sentence)
        logged = {name: value for name, value in summary.items() if name != "diffs"}
        self.logger.log(level, "%s", summary_line(summary), extra={"summary": logged})
        try:
            write_summary(path, summary)
        except OSError as problem:
            self.logger.error(
                "The summary could not be written to %s (setting summary_path): %s",
                path,
                problem.strerror,
            )
        return summary

    def _count_rejected(self, stream: str, key: str, rejection: Rejection) -> None:
        self.report.count_rejected(stream, rejection.reason)
        seen = self.report.rejected[stream][rejection.reason]
        if seen <= _LOGGED_REJECTS:
            self.logger.warning(
                "Rejected %s %s (%s): %s",
                stream,
                key,
                rejection.reason.value,
                rejection.detail,
                extra={"stream": stream, "key": key, "reason": rejection.reason.value},
            )
        if seen == _LOGGED_REJECTS:
            self.logger.warning(
                "Further records of %s rejected as %s are in %s only.",
                stream,
                rejection.reason.value,
                self.rejects.path if self.rehearsal is None else "the summary, by their number,",
            )

    def _unwritable(self, problem: OSError) -> RunError:
        return RunError(
            f"A rejected record could not be kept in {self.rejects.path} (setting rejects_path): "
            f"{problem.strerror}. The run stopped so that no record is lost."
        )

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


def _take_no_note(received: Received) -> None:
    """For a run whose input nobody shortens by what was written."""
