"""Runs of the target inside the test, and what no text of a run may show."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from target_apollo.system import crashes
from target_apollo.target.target import TargetApollo
from tests.promises.conftest import TargetRun, left_behind

KEY = "key-5b1e7d0c4f"
EXIT_CODES = frozenset({0, 1, 2, 3})

_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+\.\w+")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e\u2028\u2029]")
_LONGEST_LINE = 4_000


def broken_by_any(done: TargetRun) -> Iterator[str]:
    """What breaks the law whatever was synced: defects, and what a text may not show."""
    if done.exit_code not in EXIT_CODES:
        yield f"defect: exit code {done.exit_code}"
    if "Traceback" in done.log or "defect" in done.log:
        yield f"defect: {done.log[-1500:]}"
    for one in shown_in(done.log):
        yield f"leaked: {one}"
    for one in shown_in(json.dumps(done.summary)):
        yield f"leaked: the summary: {one}"


def shown_in(text: str) -> list[str]:
    """What a text shows that no text for people may show."""
    found = [f"the address {one}" for one in set(_ADDRESS.findall(text))]
    found += [f"the key {one}" for one in (KEY, "eve:secret") if one in text]
    found += [f"the character {one!r}" for one in set(_CONTROL.findall(text))]
    longest = max(text.splitlines(), key=len, default="")
    if len(longest) > _LONGEST_LINE and not text.startswith("{"):
        found.append(f"a line of {len(longest)} characters: {longest[:200]}")
    return found


def run_inside(config: dict[str, Any], sent: bytes, folder: Path) -> TargetRun:
    """Runs the target in this process, and keeps all that is logged at any level."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    out, log = io.StringIO(), io.StringIO()
    root, own = logging.getLogger(), logging.getLogger("target-apollo")
    listener = logging.StreamHandler(log)
    levels = root.level, own.level
    root.addHandler(listener)
    root.setLevel(logging.DEBUG)
    own.setLevel(logging.DEBUG)
    try:
        with contextlib.redirect_stdout(out):
            exit_code = _exit_code_of(config, sent, own)
    finally:
        root.removeHandler(listener)
        root.setLevel(levels[0])
        own.setLevel(levels[1])
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return left_behind(folder, exit_code, out.getvalue().splitlines(), log.getvalue())


def _exit_code_of(config: dict[str, Any], sent: bytes, logger: logging.Logger) -> int:
    try:
        return TargetApollo(config=config).sync(io.BytesIO(sent))
    except Exception as defect:  # noqa: BLE001 - as the process does
        logger.error("%s", crashes.defect_text(defect))
        return -1


def counted_in(done: TargetRun) -> dict[str, int]:
    """The outcomes that a run has counted."""
    return done.records if done.summary else {}


def rejected_in(done: TargetRun) -> set[int]:
    """The keys of the rows in a run's rejects file."""
    return {reject["record"]["id"] for reject in done.rejects}


def difference(former: dict[str, Any], now: dict[str, Any]) -> str:
    """The members of a record that are not as they were."""
    return ", ".join(
        f"{name} {value!r} -> {now.get(name)!r}"
        for name, value in former.items()
        if now.get(name) != value
    )
