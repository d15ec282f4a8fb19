"""Rejected records: writes them to the rejects file, counts them, and logs some of them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from singer_sdk.exceptions import InvalidRecord

from target_apollo.config.settings import Settings
from target_apollo.model.outcomes import Reason, Rejection
from target_apollo.sync.counts import RunCounts
from target_apollo.sync.exit import RunError
from target_apollo.sync.rejects.causes import REJECTED_BEFORE, cause_of, columns_of
from target_apollo.sync.rejects.rejects_file import RejectsFile
from target_apollo.sync.source_record import SourceRecord

#: Rejected records per reason that get their own log line; the file has all of them.
_LOGGED = 5


class Rejects:
    """The rejected records of one run.

    Attributes:
        file: The rejects file; a dry run does not write it.
        has_unsaved: Whether records were rejected since `keep` was last called.
        on_outcome: Called with each record that has got its outcome; None if not needed.
    """

    def __init__(
        self, settings: Settings, run_id: str, counts: RunCounts, logger: logging.Logger
    ) -> None:
        self._settings = settings
        self._counts = counts
        self._logger = logger
        self.file = RejectsFile(Path(settings.rejects_path), run_id, settings.source)
        self.has_unsaved = False
        #: Stream and reason -> records in the file.
        self._seen: Counter[tuple[str, Reason]] = Counter()
        self.on_outcome: Callable[[SourceRecord], None] | None = None

    def reject(self, record: SourceRecord, rejection: Rejection, *, again: bool = False) -> None:
        """Adds a rejected record to the rejects file.

        Args:
            again: Whether an earlier run has rejected the same record for the same reason. Then it
                is only counted, apart from the others: the file has it already.

        Raises:
            InvalidRecord: `on_record_error` is ``fail``.
            RunError: The file can't be written.
        """
        if self._settings.on_record_error == "fail":
            raise InvalidRecord(
                f"{record.stream} {record.key} ({rejection.reason.value}): {rejection.detail}",
                {},
            )
        if again:
            if self.on_outcome is not None:
                self.on_outcome(record)
            self._count_again(record.stream, rejection)
            return
        # Set before the write, which may fail: an outcome must be on disk before the ledger has it.
        self.has_unsaved = True
        try:
            if not self._settings.dry_run:
                self.file.append(
                    record.stream,
                    record.schema,
                    record.key_properties,
                    record.record,
                    rejection,
                    record.former,
                )
        except OSError as problem:
            raise self._unwritable(problem) from problem
        if self.on_outcome is not None:
            self.on_outcome(record)
        columns = columns_of(record.schema)
        self._count(record.stream, record.key, rejection, record.record, columns)

    def reject_line(self, line: bytes | int, line_number: int, rejection: Rejection) -> None:
        """Adds a line that is no Singer message to the rejects file.

        Args:
            line: The line, or the number of bytes of a line that was too long for the memory.

        Raises:
            RunError: The rejects file can't be written.
        """
        self.has_unsaved = True
        try:
            if self._settings.dry_run:
                pass
            elif isinstance(line, int):
                self.file.append_long_line(line, line_number, rejection)
            else:
                self.file.append_line(line, line_number, rejection)
        except OSError as problem:
            raise self._unwritable(problem) from problem
        self._count("(no stream)", f"line {line_number}", rejection, {}, ())

    def keep(self) -> None:
        """Makes sure that the rejected records are on disk.

        Raises:
            RunError: The rejects file can't be written.
        """
        try:
            self.file.sync()
        except OSError as problem:
            raise self._unwritable(problem) from problem
        self.has_unsaved = False

    @property
    def location(self) -> str:
        """The place of the rejects file, as part of a sentence for the user."""
        return "the log and the summary" if self._settings.dry_run else str(self.file.path)

    def _count_again(self, stream: str, rejection: Rejection) -> None:
        if not self._counts.rejected_before[stream]:
            self._logger.info(
                "Stream '%s': records that were rejected before and have not changed since are "
                "not sent or kept again for some days; see %s.",
                stream,
                self.location,
                extra={"stream": stream},
            )
        self._counts.count_rejected(stream, rejection.reason, again=True)
        self._counts.causes.add(stream, rejection.reason.value, REJECTED_BEFORE)

    def _count(
        self,
        stream: str,
        key: str,
        rejection: Rejection,
        record: Mapping[str, Any],
        columns: Collection[str],
    ) -> None:
        self._counts.count_rejected(stream, rejection.reason)
        said = {
            "reason": rejection.reason.value,
            "detail": rejection.detail,
            "status": rejection.status,
            "endpoint": rejection.endpoint,
        }
        cause = cause_of(said, record, columns)
        self._counts.causes.add(stream, rejection.reason.value, cause)
        self._seen[stream, rejection.reason] += 1
        seen = self._seen[stream, rejection.reason]
        if seen <= _LOGGED:
            self._logger.warning(
                "Rejected %s %s (%s): %s",
                stream,
                key,
                rejection.reason.value,
                rejection.detail,
                extra={"stream": stream, "key": key, "reason": rejection.reason.value},
            )
        if seen == _LOGGED:
            self._logger.warning(
                "Further records of %s rejected as %s are in %s only.",
                stream,
                rejection.reason.value,
                "the summary, by their number," if self._settings.dry_run else self.file.path,
            )

    def _unwritable(self, problem: OSError) -> RunError:
        return RunError(
            f"A rejected record could not be kept in {self.file.path} (setting rejects_path): "
            f"{problem.strerror}. The run stopped so that no record is lost."
        )
