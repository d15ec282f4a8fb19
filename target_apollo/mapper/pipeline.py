"""Processes Singer lines: judges the leads among them and returns the lines to pass on."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from types import MappingProxyType
from typing import Any

from target_apollo.mapper.errors import InputError, SettingsError
from target_apollo.mapper.held_state import StateHandling
from target_apollo.mapper.lead_stream import LeadStream
from target_apollo.mapper.rules import Lead, OwnerMapped
from target_apollo.mapper.rules.base import Clock
from target_apollo.mapper.settings import Settings
from target_apollo.mapper.stdio import (
    BATCH,
    BLOCK,
    Head,
    read_head,
    read_message,
    record_line,
    write_message,
)
from target_apollo.mapper.verdicts import Outcome, VerdictFile
from target_apollo.system.batch_files import LONGEST_ROW, UnreadableBatch, batch_rows

_NO_LEAD: Lead = MappingProxyType({})

_Waiting = tuple[bytes, "LeadStream | None", Lead]
"""A line, and the stream and lead of a RECORD of leads (None and an empty lead for other lines).

The lines of a block wait, so that a look-up serves all leads among them. Plain tuples are fast."""


class Pipeline:
    """Processes blocks of lines in their order.

    Its methods raise `SettingsError` or `InputError` if the run must end. Then none of the block's
    lines is passed on, so that no STATE covers a lead that the target did not get.
    """

    def __init__(self, settings: Settings, clock: Clock, log: logging.Logger) -> None:
        self.counts: Counter[str] = Counter()
        self._settings = settings
        self._clock = clock
        self._log = log
        # Read at once, so that a missing file ends the run before any line is passed on.
        mappings = (rule.owners() for rule in settings.rules if isinstance(rule, OwnerMapped))
        self._owners = next(mappings, None)
        self._streams: dict[str, LeadStream] = {}
        self._others: set[str] = set()
        self._verdicts = VerdictFile(settings.verdicts_path) if settings.verdicts_path else None
        self._out: list[bytes] = []
        self._waiting: list[_Waiting] = []
        self._latest: LeadStream | None = None
        self._withheld_for: str | None = None
        self._not_json = 0

    def process_lines(self, lines: Sequence[bytes]) -> list[bytes]:
        """The lines to pass on for these lines, both without line ends.

        The verdicts on their leads are on disk when it returns.
        """
        out = self._out = []
        records = 0
        waiting, streams, others, counts = self._waiting, self._streams, self._others, self.counts
        latest, prefixes = self._latest, self._latest.prefixes if self._latest else ()
        for line in lines:
            if latest is not None and line.startswith(prefixes):
                lead = latest.read_line(line)
                if lead is not None:
                    records += 1
                    waiting.append((line, latest, lead))
                    continue
            found = read_head(line)
            if found is None:
                if line and not line.isspace():
                    self._not_json += 1
                    waiting.append((line, None, _NO_LEAD))
                continue
            head, line = found
            kind = head.type
            counts[kind] += 1
            if kind == "RECORD":
                stream = streams.get(head.stream)
                if stream is not None:
                    latest, prefixes = stream, stream.prefixes
                    waiting.append((line, stream, stream.read(head.record)))
                else:
                    if head.stream not in others:
                        self._refuse_unannounced(head)
                    waiting.append((line, None, _NO_LEAD))
            else:
                # A SCHEMA changes the checks, and STATE depends on all leads before it.
                self._judge_waiting()
                self._process_message(line, head)
                latest = None
        self._judge_waiting()
        self._latest = latest
        counts["RECORD"] += records
        if self._verdicts:
            self._verdicts.flush()
        return out

    def expanded(self, lines: Sequence[bytes]) -> Iterator[list[bytes]]:
        """These lines in blocks, with the rows of each BATCH message of leads as RECORD lines.

        A row that is no JSON object stays as it is, for the target to reject.

        Raises:
            InputError, SettingsError: The file of a BATCH message can't be read.
        """
        block: list[bytes] = []
        size = 0
        for line in lines:
            found = read_head(line) if BATCH in line else None
            head = found[0] if found is not None else None
            if head is None or head.type != "BATCH" or not self._settings.matches(head.stream):
                block.append(line)
                continue
            self.counts["BATCH"] += 1
            for row in _record_lines(line):
                block.append(row)
                size += len(row)
                if size > BLOCK:
                    yield block
                    block, size = [], 0
        if block:
            yield block

    def _process_message(self, line: bytes, head: Head) -> None:
        if head.type == "SCHEMA":
            self._out.append(self._schema(line, head))
        elif head.type == "STATE":
            self._state(line)
        elif head.type == "ACTIVATE_VERSION" and head.stream in self._streams:
            # The message says that a table was sent as a whole. It is not passed on, since the
            # target would take each lead that is held or dropped for a deleted row.
            return
        else:
            self._out.append(self._other(line, head))

    def _judge_waiting(self) -> None:
        """Judge the waiting leads, and pass on the waiting lines in their order."""
        waiting = self._waiting
        if not waiting:
            return
        for stream in self._streams.values():
            if stream.looks_up:
                stream.prepare([lead for _, owner, lead in waiting if owner is stream])
        at = self._clock().isoformat(timespec="seconds")
        out, verdicts = self._out, self._verdicts
        for line, lead_stream, lead in waiting:
            if lead_stream is None:
                out.append(line)
                continue
            judgement = lead_stream.judge(lead)
            if verdicts is not None:
                verdicts.add(at, lead_stream.name, lead_stream.key(lead), judgement, lead)
            if judgement.outcome is Outcome.PASSED:
                out.append(lead_stream.outgoing(line, lead, judgement.withheld))
        waiting.clear()

    def _schema(self, line: bytes, head: Head) -> bytes:
        if not self._settings.matches(head.stream):
            if head.stream == self._settings.output_stream:
                raise self._one_name(head.stream)
            self._others.add(head.stream)
            return line
        stream = self._streams.get(head.stream)
        if stream is None:
            stream = LeadStream(head.stream, self._settings, self._clock, self._log, self._owners)
            names = {other.output for other in self._streams.values()} | self._others
            if stream.output in names:
                raise self._one_name(head.stream)
            self._streams[head.stream] = stream
        message = read_message(line)
        outgoing = stream.announce(message)
        return line if outgoing == message else write_message(outgoing)

    def _one_name(self, stream: str) -> SettingsError:
        return SettingsError(
            f"Setting output_stream: stream '{stream}' would go on under the name of another "
            f"stream, '{self._settings.output_stream}'. Narrow `streams` to one stream, or choose "
            "another name."
        )

    def _refuse_unannounced(self, head: Head) -> None:
        if self._settings.matches(head.stream):
            raise InputError(f"A RECORD of stream '{head.stream}' came before its SCHEMA.")
        self._others.add(head.stream)

    def _state(self, line: bytes) -> None:
        held_states = [
            stream.held_state for stream in self._streams.values() if stream.held_state is not None
        ]
        if not held_states:
            self._out.append(line)
            return
        message = read_message(line)
        value: Any = message.get("value")
        handlings = set()
        if isinstance(value, dict):
            handlings = {held_state.set_back(value) for held_state in held_states}
        if StateHandling.WITHHELD in handlings:
            self._withheld_for = next(held.stream for held in held_states if held.has_held)
            return
        self._withheld_for = None
        self._out.append(write_message(message) if StateHandling.SET_BACK in handlings else line)

    def _other(self, line: bytes, head: Head) -> bytes:
        stream = self._streams.get(head.stream)
        if stream is None:
            return line
        return stream.renamed(line)

    def finish(self) -> None:
        """Close the verdict file and log the counts of leads.

        Raises:
            SettingsError: No stream of the run had leads.
        """
        if self._verdicts:
            self._verdicts.close()
        for name, stream in self._streams.items():
            for line in stream.counts.lines():
                self._log.info("Stream '%s': %s", name, line)
        if always := self._settings.always:
            came = set().union(*(stream.named for stream in self._streams.values()))
            self._log.info(
                "Setting always: %d of the %d leads that it names came.", len(came), len(always)
            )
        if self._withheld_for:
            self._log.warning(
                "STATE was kept back: stream '%s' holds leads, and STATE has no bookmark for it. "
                "The next run reads more than it would have to.",
                self._withheld_for,
            )
        if self._not_json:
            self._log.warning("%d lines were no Singer messages; they passed.", self._not_json)
        if self._others and not self._streams and self.counts["SCHEMA"]:
            raise SettingsError(self._settings.no_leads_in(self._others))


def _record_lines(line: bytes) -> Iterator[bytes]:
    """The rows of a BATCH message as RECORD lines; one that is no JSON object as it is."""
    message = read_message(line)
    head = {name: message[name] for name in ("stream", "version") if message.get(name) is not None}
    try:
        for row in batch_rows(message, LONGEST_ROW):
            if row.line and not row.line.isspace():
                yield record_line(row.line.rstrip(b"\r\n"), **head)
    except UnreadableBatch as problem:
        kind = SettingsError if problem.needs_person else InputError
        raise kind(str(problem)) from None
