"""What a run with these settings would refuse or warn of, found with a run's own code.

Nothing is written: the run is a dry run that gets no input, and the ledger's version is only read.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from target_apollo.cli.check.leads import LeadsCheck
from target_apollo.cli.fields.catalog import STDIN, read_catalog, read_messages
from target_apollo.config.paths import files_of, unwritable_files
from target_apollo.config.settings import Settings
from target_apollo.ledger import Ledger
from target_apollo.ledger.database import Address
from target_apollo.ledger.tables import VERSION
from target_apollo.model.objects import ObjectKind
from target_apollo.sync.remarks import SETTINGS, Remark, Remarks
from target_apollo.sync.settings_check import SettingsCheck
from target_apollo.target.record_sinks import RecordSink
from target_apollo.target.source_check import CheckedStream, SourceCheck
from target_apollo.target.target import TargetApollo


@dataclass(frozen=True)
class Source:
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
        command = "apollo-sync fields --create-missing-fields"
        if self.catalog is not None and self.catalog != STDIN:
            return f"{command} --catalog {self.catalog}"
        if self.messages is not None and self.messages != STDIN:
            return f"{command} --schema {self.messages}"
        return f"{command} --schema FILE" if self.has_streams else ""


@dataclass(frozen=True)
class Rehearsal:
    """What was found.

    Attributes:
        ledger: A line on the ledger; empty where it can't be read, which a remark says.
    """

    remarks: tuple[Remark, ...] = ()
    streams: tuple[CheckedStream, ...] = ()
    ledger: str = ""


def rehearse(
    config: Mapping[str, Any], kinds: Collection[ObjectKind], source: Source, *, asks_apollo: bool
) -> Rehearsal:
    """Checks settings, files and ledger, and with a source its streams.

    Args:
        config: Right settings, with defaults.
        kinds: What is written, where the source does not tell.
        asks_apollo: Whether Apollo would answer; if not, what needs it is left out.

    Raises:
        SettingsError: The source can't be read, or the mapper's settings are wrong.
        CredentialsRefused, TeamRefused: Apollo answers nothing.
    """
    settings, remarks = Settings.of(dict(config)), Remarks()
    with remarks.about(SETTINGS):
        for sentence in unwritable_files(files_of(config)):
            remarks.fault(sentence)
    ledger = ""
    with remarks.about(SETTINGS):
        ledger = _ledger_line(settings.ledger_url)
    if not asks_apollo:
        return Rehearsal(remarks.all, (), ledger)
    with _heard_by(remarks) as logger:
        leads = None if source.leads is None else LeadsCheck(source.leads, remarks, logger)
        target = TargetApollo(config={**config, "dry_run": True})
        try:
            streams = _streams(target, kinds, source, leads, remarks)
        finally:
            target.run.close_unused()
    return Rehearsal(remarks.all, streams, ledger)


def _streams(
    target: TargetApollo,
    kinds: Collection[ObjectKind],
    source: Source,
    leads: LeadsCheck | None,
    remarks: Remarks,
) -> tuple[CheckedStream, ...]:
    check = SourceCheck(target, remarks)
    came: set[str] = set()
    for message in source.read():
        stream = message["stream"]
        if message["type"] == "SCHEMA":
            came.add(stream)
            check.announce(message if leads is None else leads.announced(message))
        elif leads is None or not leads.is_judged(stream):
            check.read(stream, message["record"])
    sinks = check.sinks
    written = {one.object_type.kind for one in sinks.values() if isinstance(one, RecordSink)}
    SettingsCheck(
        target.run,
        [kind for kind in ObjectKind if kind in (written if sinks else kinds)],
        remarks,
        is_sure=bool(sinks),
        streams=tuple(sinks),
    ).check()
    if leads is not None:
        with remarks.about(SETTINGS):
            leads.finish(came)
        with remarks.about(SETTINGS):
            leads.check_owners(target.run.directory)
    return check.finish() if source.has_streams else ()


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
    before = logger.propagate, logger.handlers
    logger.propagate, logger.handlers = False, [remarks]
    try:
        yield logger
    finally:
        logger.propagate, logger.handlers = before
