"""The way of the lines through the mapper: in, judged, and out in the same order."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

from target_apollo.mapper.errors import Clock, InputError, SettingsError
from target_apollo.mapper.held_state import Passing
from target_apollo.mapper.lead_stream import LeadStream
from target_apollo.mapper.rules import Lead, OwnerMapped
from target_apollo.mapper.settings import Settings
from target_apollo.mapper.stdio import Head, read_head, read_message, write_message
from target_apollo.mapper.verdicts import Outcome, VerdictFile

_NO_LEAD: Lead = MappingProxyType({})

_Waiting = tuple[bytes, "LeadStream | None", Lead]
"""A line whose turn has come; a lead's waits for the look-ups of its neighbours. A plain tuple,
since one is made for every line."""


class Pipeline:
    """Takes lines in sets as they come and gives those that go on.

    Raises `SettingsError` and `InputError` where the run can't go on; the lines of that set are
    then not passed, and no STATE that covers them is either.
    """

    def __init__(self, settings: Settings, clock: Clock, log: logging.Logger) -> None:
        self.counts: Counter[str] = Counter()
        self._settings = settings
        self._clock = clock
        self._log = log
        # Read here, so that a file that is not there ends the run before anything passes.
        owned = (rule.owners() for rule in settings.rules if isinstance(rule, OwnerMapped))
        self._owners = next(owned, None)
        self._streams: dict[str, LeadStream] = {}
        self._others: set[str] = set()
        self._verdicts = VerdictFile(settings.verdicts_path) if settings.verdicts_path else None
        self._out: list[bytes] = []
        self._waiting: list[_Waiting] = []
        self._latest: LeadStream | None = None
        self._withheld: str | None = None
        self._not_json = 0

    def process_lines(self, lines: Sequence[bytes]) -> list[bytes]:
        """The lines that go on for these lines, without their ends. Verdicts are on disk then."""
        out = self._out = []
        records = 0
        waiting, streams, others, counts = self._waiting, self._streams, self._others, self.counts
        latest, beginnings = self._latest, self._latest.beginnings if self._latest else ()
        for line in lines:
            if latest is not None and line.startswith(beginnings):
                lead = latest.read_line(line)
                if lead is not None:
                    records += 1
                    waiting.append((line, latest, lead))
                    continue
            head = read_head(line)
            if head is None:
                if line and not line.isspace():
                    self._not_json += 1
                    waiting.append((line, None, _NO_LEAD))
                continue
            kind = head.type
            counts[kind] += 1
            if kind == "RECORD":
                stream = streams.get(head.stream)
                if stream is not None:
                    latest, beginnings = stream, stream.beginnings
                    waiting.append((line, stream, stream.read(head.record)))
                else:
                    if head.stream not in others:
                        self._refuse_unannounced(head)
                    waiting.append((line, None, _NO_LEAD))
            else:
                # A SCHEMA changes how records are judged, and STATE must know each lead before it.
                self._settle()
                self._take(line, head)
                latest = None
        self._settle()
        self._latest = latest
        counts["RECORD"] += records
        if self._verdicts:
            self._verdicts.flush()
        return out

    def _take(self, line: bytes, head: Head) -> None:
        if head.type == "SCHEMA":
            self._out.append(self._schema(line, head))
        elif head.type == "STATE":
            self._state(line)
        elif head.type == "ACTIVATE_VERSION" and head.stream in self._streams:
            # It says that the table was sent as a whole. What goes on is not: the target would take
            # each lead that is held or dropped for one that was deleted.
            return
        else:
            self._out.append(self._other(line, head))

    def _settle(self) -> None:
        """Judge the leads that wait, and let all that waits go on in order."""
        waiting = self._waiting
        if not waiting:
            return
        for stream in self._streams.values():
            if stream.looks_up:
                stream.prepare([lead for _, of, lead in waiting if of is stream])
        at = self._clock().isoformat(timespec="seconds")
        out, verdicts = self._out, self._verdicts
        for line, of, lead in waiting:
            if of is None:
                out.append(line)
                continue
            outcome, failures = of.judge(lead)
            if verdicts is not None:
                verdicts.add(at, of.name, of.key(lead), outcome, failures, lead)
            if outcome is Outcome.PASSED:
                out.append(of.outgoing(line, lead))
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
            taken = {known.output for known in self._streams.values()} | self._others
            if stream.output in taken:
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
        holds = [stream.hold for stream in self._streams.values() if stream.hold is not None]
        if not holds:
            self._out.append(line)
            return
        message = read_message(line)
        value: Any = message.get("value")
        passing = set()
        if isinstance(value, dict):
            passing = {hold.set_back(value) for hold in holds}
        if Passing.WITHHELD in passing:
            self._withheld = next(hold.stream for hold in holds if hold.holds)
            return
        self._withheld = None
        self._out.append(write_message(message) if Passing.SET_BACK in passing else line)

    def _other(self, line: bytes, head: Head) -> bytes:
        stream = self._streams.get(head.stream)
        if stream is None:
            return line
        if head.type == "BATCH":
            raise SettingsError(
                f"Stream '{head.stream}' comes in BATCH files, whose leads can't be judged. Remove "
                "`batch_config` from the tap's settings."
            )
        return stream.renamed(line)

    def finish(self) -> None:
        """Close the verdict file and log what became of the leads.

        Raises:
            SettingsError: No stream of the run was one of leads.
        """
        if self._verdicts:
            self._verdicts.close()
        for name, stream in self._streams.items():
            for line in stream.tally.lines():
                self._log.info("Stream '%s': %s", name, line)
        if self._withheld:
            self._log.warning(
                "STATE was kept back: stream '%s' holds leads, and STATE has no bookmark for it. "
                "The next run reads more than it would have to.",
                self._withheld,
            )
        if self._not_json:
            self._log.warning("%d lines were no Singer messages; they passed.", self._not_json)
        if self._others and not self._streams and self.counts["SCHEMA"]:
            raise SettingsError(
                f"Setting streams matches no stream of this run ({', '.join(sorted(self._others))} "
                "came): their records went on without being judged."
            )
