"""The warehouse has every result, in whatever order ledger writes, tap runs and kills happen."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from target_apollo.ledger import Ledger, LinkOutcome, LinkStatus, results
from target_apollo.tap import bookmark
from target_apollo.tap.tap import TapApolloSync
from tests.helpers.loading import Loaded
from tests.tap.conftest import RESULTS, created, save

keys = st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=6, unique=True)
#: At which record of a run something happens, and what: keys that are written, or None for a kill.
Events = dict[int, "list[str] | None"]
runs = st.dictionaries(st.integers(0, 12), keys | st.none(), max_size=3)


class Killed(BaseException):
    """The tap was killed."""


class Writer:
    """Takes the tap's messages, and lets something happen at some of the records."""

    def __init__(self, events: Events, happen: Callable[[list[str]], None]) -> None:
        self.lines: list[str] = []
        self._events = events
        self._happen = happen
        self._records = 0

    def write_message(self, message: Any) -> None:
        content = message.to_dict()
        if content["type"] == "RECORD":
            if self._records in self._events:
                event = self._events[self._records]
                if event is None:
                    raise Killed
                self._happen(event)
            self._records += 1
            del content["time_extracted"]
        self.lines.append(json.dumps(content))


def outcomes(of: list[str], number: int) -> list[LinkOutcome]:
    """An outcome for each key that differs from all that came before."""
    return [
        created(key, number)
        if number % 2
        else LinkOutcome(key, LinkStatus.ERROR, error=f"reason {number}")
        for key in of
    ]


@pytest.mark.full
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(keys, runs), min_size=1, max_size=5))
def test_the_warehouse_ends_with_what_the_ledger_holds(
    steps: list[tuple[list[str], Events]],
) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(results, "PAGE", 2),
        mock.patch.object(bookmark, "CLOCKS_DIFFER_BY", timedelta(0)),
        Ledger.open(f"sqlite:///{Path(folder) / 'ledger.db'}") as ledger,
    ):
        config = {"ledger_url": f"sqlite:///{Path(folder) / 'ledger.db'}"}
        loaded = Loaded()
        held: dict[str, LinkOutcome] = {}
        written = 0

        def write(of: list[str]) -> None:
            nonlocal written
            written += 1
            new = outcomes(of, written)
            save(ledger, *new)
            held.update({outcome.source_key: outcome for outcome in new})

        for some, events in [*steps, (["a"], {})]:
            write(some)
            writer = Writer(events, write)
            state = json.loads(json.dumps(loaded.state)) if loaded.state else {}
            tap = TapApolloSync(config=config, state=state, message_writer=writer)
            for name, stream in tap.streams.items():
                stream.selected = name == RESULTS
            with contextlib.suppress(Killed):
                tap.sync_all()
            loaded.load(writer.lines)
        assert {key: record["reason"] for key, record in loaded.results.items()} == {
            key: outcome.error for key, outcome in held.items()
        }
