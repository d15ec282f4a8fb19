"""What a run with these settings would refuse or warn of, found with the code of a run.

Nothing is written: the run is a dry run that gets no input, and the ledger's version is only read.
"""

from __future__ import annotations

import logging
import shlex
import signal
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from target_apollo.cli.check.leads import LeadsCheck
from target_apollo.cli.fields.catalog import STDIN, read_catalog, read_messages
from target_apollo.config.paths import files_of, unwritable_files
from target_apollo.config.stream_maps import leaves_out_all
from target_apollo.ledger import Ledger
from target_apollo.ledger.database import Address
from target_apollo.ledger.tables import VERSION
from target_apollo.model.objects.registry import ObjectKind
from target_apollo.sync.remarks import SETTINGS, Remark, Remarks
from target_apollo.sync.settings_check import SettingsCheck
from target_apollo.target.mapping import is_removed
from target_apollo.target.record_sinks import RecordSink
from target_apollo.target.source_check import CheckedStream, SourceCheck
from target_apollo.target.target import TargetApollo


@dataclass(frozen=True)
class CheckInput:
    """Where the streams of a check are told: in a catalog or in Singer messages.

    Attributes:
        catalog: Path of a tap's catalog; None for none.
        messages: Path of a tap's output, or ``-``; None for none.
        leads: Path of the settings of map-apollo-leads, which gets the streams first.
    """

    catalog: str | None = None
    messages: str | None = None
    leads: str | None = None

    @property
    def has_streams(self) -> bool:
        """Whether it tells of streams."""
        return self.catalog is not None or self.messages is not None

    def read(self) -> Iterator[Mapping[str, Any]]:
        """Yields SCHEMA messages, and RECORD messages if there are any.

        Raises:
            SettingsError: The file can't be read, or tells of no stream.
        """
        if self.catalog is not None:
            for stream in read_catalog(self.catalog):
                yield stream.message
        elif self.messages is not None:
            yield from read_messages(self.messages)

    @property
    def making_fields(self) -> str:
        """The command that makes custom fields for columns without a place; empty for none."""
        if self.leads is not None:
            # That command does not know the streams that the mapper makes.
            return ""
        command = "apollo-sync fields --create-missing-fields"
        if self.catalog is not None and self.catalog != STDIN:
            return f"{command} --catalog {shlex.quote(self.catalog)}"
        if self.messages is not None and self.messages != STDIN:
            return f"{command} --schema {shlex.quote(self.messages)}"
        return f"{command} --schema FILE" if self.has_streams else ""


@dataclass(frozen=True)
class RunFindings:
    """What a check of settings, files, ledger and streams has found.

    Attributes:
        ledger: A line on the ledger; empty where it can't be read, which a remark says.
    """

    remarks: tuple[Remark, ...] = ()
    streams: tuple[CheckedStream, ...] = ()
    ledger: str = ""


class RunCheck:
    """Checks settings, files and ledger, and with a source its streams.

    The streams are told before Apollo is asked, since the endpoints that a run needs depend on
    them: first `kinds`, then `finish`.

    Args:
        config: Right settings, with defaults.
        kinds: What is written, where the source does not tell.

    Raises:
        SettingsError: The source can't be read, or the mapper's settings are wrong.
    """

    def __init__(
        self, config: Mapping[str, Any], kinds: Collection[ObjectKind], source: CheckInput
    ) -> None:
        self._config, self._given, self._source = config, kinds, source
        self._remarks = Remarks()
        with _heard_by(self._remarks) as logger:
            self._leads: LeadsCheck | None = None
            if source.leads is not None:
                self._leads = LeadsCheck(source.leads, self._remarks, logger)
            with _signals_kept():
                self._target = TargetApollo(config={**config, "dry_run": True})
            # The log's level may be set for the target; a check needs its warnings all the same.
            logger.setLevel(logging.WARNING)
            self._check = SourceCheck(self._target, self._remarks)
            #: RECORD messages, which are looked at last: the names in them take requests.
            self._records: list[Mapping[str, Any]] = []
            self._came: set[str] = set()
            #: The streams that the target gets.
            self._announced: set[str] = set()
            for message in source.read():
                self._take(message)

    def _take(self, message: Mapping[str, Any]) -> None:
        leads, stream = self._leads, message["stream"]
        if message["type"] == "SCHEMA":
            self._came.add(stream)
            given = message if leads is None else leads.announced(message)
            self._announced.add(given["stream"])
            self._check.announce(given)
        elif leads is None or not leads.is_judged(stream):
            self._records.append(message)

    @property
    def kinds(self) -> list[ObjectKind]:
        """What a run would write: the objects of the source's streams, among those given."""
        sinks = self._check.sinks.values()
        written = {one.object_type.kind for one in sinks if isinstance(one, RecordSink)}
        return [one for one in self._given if one in written or not sinks]

    def finish(self, *, asks_apollo: bool) -> RunFindings:
        """What is found.

        Args:
            asks_apollo: Whether Apollo would answer; if not, what needs it is left out.

        Raises:
            CredentialsRefused, TeamRefused: Apollo answers nothing.
        """
        remarks, ledger = self._remarks, ""
        with remarks.about(SETTINGS):
            for sentence in unwritable_files(files_of(self._config)):
                remarks.fault(sentence)
        if self._leaves_out_all():
            remarks.warning(
                "The setting 'stream_maps' leaves out every stream, so a run would write nothing: "
                "add an entry for each stream that is to be written, or take `__else__` out."
            )
        with remarks.about(SETTINGS):
            ledger = _ledger_line(self._target.run.settings.ledger_url)
        try:
            with _heard_by(remarks):
                streams = self._ask() if asks_apollo else ()
        finally:
            self._target.run.close_unused()
        return RunFindings(remarks.all, streams, ledger)

    def _leaves_out_all(self) -> bool:
        """Whether stream maps leave out all streams of the source; without one, any stream."""
        if not self._announced:
            return leaves_out_all(self._config.get("stream_maps"))
        return all(is_removed(self._target.mapper, stream) for stream in self._announced)

    def _ask(self) -> tuple[CheckedStream, ...]:
        sinks, run = self._check.sinks, self._target.run
        settings_check = SettingsCheck(
            run, self.kinds, self._remarks, is_sure=bool(sinks), streams=tuple(sinks)
        )
        settings_check.check()
        if self._leads is not None:
            with self._remarks.about(SETTINGS):
                self._leads.finish(self._came)
            with self._remarks.about(SETTINGS):
                self._leads.check_owners(run.directory)
        if not self._source.has_streams:
            return ()
        for message in self._records:
            self._check.read(message["stream"], message["record"])
        return self._check.finish()


def _ledger_line(url: str) -> str:
    """Where the ledger is and of which version.

    Raises:
        LedgerError: It can't be read, or is of a later release.
    """
    if not url:
        return "none: every run looks up every row in Apollo (ledger_url)"
    version, place = Ledger.version_at(url), Address.of(url)
    if version is None:
        return f"{place}, which the first run makes"
    older = "" if version == VERSION else f", brought up to {VERSION} by the next run"
    return f"{place}, version {version}{older}"


@contextmanager
def _heard_by(remarks: Remarks) -> Iterator[logging.Logger]:
    """The target's log, whose warnings become remarks and go nowhere else."""
    logger = TargetApollo.logger
    before, level = (logger.propagate, logger.handlers), logger.level
    logger.propagate, logger.handlers = False, [remarks]
    logger.setLevel(logging.WARNING)
    try:
        yield logger
    finally:
        logger.propagate, logger.handlers = before
        logger.setLevel(level)


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Lets a target that is made take over no signal: Ctrl-C ends a check at once."""
    kept = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    yield
    if threading.current_thread() is threading.main_thread():
        for one, handler in kept.items():
            # None stands for a handler that Python did not set, which it can't set again.
            if handler is not None:
                signal.signal(one, handler)
