"""A record's way is short: how many files of the package it enters until it has its outcome.

A run that is under way is traced, so that nothing is loaded, opened or asked for the first time.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

import target_apollo
from target_apollo.sandbox import Sandbox
from target_apollo.target.target import TargetApollo
from tests.promises.conftest import contact, lines_of, schema

PACKAGE = Path(target_apollo.__file__).parent
#: More means that a row meets what has nothing to do with it, or an idea that is two modules.
MOST_FILES = {"new": 30, "unchanged": 15}
#: Records before those that are followed.
WARM = 3
#: The one with the shortest way counts, since what is due from time to time may fall into one.
RECORDS = WARM + 2
#: Seconds within which a record has its outcome, and for what follows Apollo's answer.
LONGEST, AFTERWARDS = 20.0, 0.5


class Trace:
    """Notes in which files of the package functions are entered, while it is on.

    The sandbox aside, which stands for Apollo.
    """

    def __init__(self) -> None:
        self.on = False
        self.files: set[str] = set()

    def __call__(self, frame: FrameType, event: str, arg: object) -> None:
        if not self.on or event != "call":
            return
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(PACKAGE) and not path.is_relative_to(PACKAGE / "sandbox"):
            self.files.add(path.relative_to(PACKAGE).as_posix())


@pytest.fixture
def trace() -> Iterator[Trace]:
    made = Trace()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    threading.setprofile(made)
    sys.setprofile(made)
    yield made
    sys.setprofile(None)
    threading.setprofile(None)  # type: ignore[arg-type] # None ends it, says its documentation
    for number, handler in handlers.items():
        signal.signal(number, handler)


def files_entered(trace: Trace, config: Path, is_settled: Callable[[int], bool]) -> set[str]:
    """The files that a record enters, in a run in which others have their outcome already.

    Args:
        is_settled: Whether as many records have their outcome.
    """
    reading, writing = os.pipe()
    late: list[int] = []
    ways: list[set[str]] = []

    def feed() -> None:
        with os.fdopen(writing, "wb", buffering=0) as tap:
            tap.write(lines_of([schema("contacts")]))
            for number in range(RECORDS):
                trace.files = set()
                trace.on = number >= WARM
                tap.write(lines_of([contact(number)]))
                deadline = time.monotonic() + LONGEST
                while not is_settled(number + 1) and time.monotonic() < deadline:
                    time.sleep(0.01)
                if not is_settled(number + 1):
                    late.append(number)
                time.sleep(AFTERWARDS)
                if trace.on:
                    ways.append(trace.files)
            trace.on = False

    feeder = threading.Thread(target=feed)
    with os.fdopen(reading, "rb") as lines:
        target = TargetApollo(config=json.loads(config.read_text()))
        feeder.start()
        assert target.sync(lines) == 0
    feeder.join()
    assert late == []
    return min(ways, key=len)


def test_a_new_record_enters_few_files(
    apollo: Sandbox, target_config: Callable[..., Path], trace: Trace
) -> None:
    config = target_config(apollo, batch_size=1, parallel_requests=1)
    files = files_entered(
        trace, config, lambda count: apollo.count("POST /contacts/bulk_create") == count
    )
    assert {"target/target.py", "apollo/transport.py", "ledger/ledger.py"} <= files
    assert len(files) <= MOST_FILES["new"], sorted(files)


def test_an_unchanged_record_enters_fewer(
    apollo: Sandbox, target_config: Callable[..., Path], trace: Trace
) -> None:
    config = target_config(apollo, batch_size=1, parallel_requests=1)
    known = [schema("contacts"), *[contact(number) for number in range(RECORDS)]]
    target = TargetApollo(config=json.loads(config.read_text()))
    assert target.sync(io.BytesIO(lines_of(known))) == 0

    files = files_entered(trace, config, lambda _: True)
    assert apollo.count("POST /contacts/bulk_create") == RECORDS
    assert {"target/target.py", "sync/links/recall.py", "ledger/ledger.py"} <= files
    assert len(files) <= MOST_FILES["unchanged"], sorted(files)
