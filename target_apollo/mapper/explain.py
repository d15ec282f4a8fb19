"""Explains why a lead was not sent: the last verdict on it in a few lines of text."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from target_apollo.mapper.rules.base import shown
from target_apollo.mapper.verdicts import Verdict, earlier
from target_apollo.system.files import check_read
from target_apollo.system.shown import name_shown, printable

_CLOSING = {
    "passed": "It meets every rule and went on to Apollo; what became of it there is in the ledger "
    "and in the run's summary.",
    "held": "It needs no change: each run looks at it again, and it goes on once this is over.",
    "always": "It went on to Apollo all the same, since the setting always names it; what became "
    "of it there is in the ledger and in the run's summary.",
    "dropped": "It is looked at again as soon as it changes in the source.",
}
_decoder = msgspec.json.Decoder(Verdict)
_key_only = msgspec.json.Encoder()


class NoVerdict(LookupError):
    """There is no verdict on this lead; the message names the file that was read."""


def explain(verdicts_path: str | Path, key: str) -> str:
    """The last verdict on the lead with this key, and its reasons, in words.

    Args:
        verdicts_path: The mapper's setting of that name. The file to which it was renamed for its
            size is read too.
        key: The lead's key, such as ``42``; several key values are joined by commas.

    Returns:
        A paragraph for each stream with such a lead.

    Raises:
        NoVerdict: The file is missing or can't be read, or it has no such lead.
    """
    path = Path(verdicts_path)
    last: dict[str, Verdict] = {}
    times: dict[str, int] = {}
    for verdict in _verdicts(path, key.strip()):
        last[verdict.stream] = verdict
        times[verdict.stream] = times.get(verdict.stream, 0) + 1
    if not last:
        raise NoVerdict(
            f"There is no verdict on lead {key} in {path}: no run that wrote there has read it. "
            "Check the key, and that the tap selects the lead."
        )
    return "\n\n".join(_in_words(verdict, times[stream]) for stream, verdict in last.items())


def _verdicts(path: Path, key: str) -> Iterator[Verdict]:
    # Only lines with these bytes need to be decoded.
    key_bytes = b'"key":' + _key_only.encode(key)
    aside = earlier(path)
    for file in (aside, path) if aside.exists() else (path,):
        try:
            check_read(file)
            with file.open("rb") as lines:
                for line in lines:
                    if key_bytes in line and (verdict := _read(line)) and verdict.key == key:
                        yield verdict
        except OSError as error:
            raise NoVerdict(
                f"The verdicts in {file} can't be read: {error.strerror}. Give the file that the "
                "mapper's setting verdicts_path names."
            ) from None


def _read(line: bytes) -> Verdict | None:
    try:
        return _decoder.decode(line)
    except msgspec.DecodeError:
        # If a run was killed, its last line may be incomplete.
        return None


def _in_words(verdict: Verdict, times: int) -> str:
    repeated = f", the last of {times} times" if times > 1 else ""
    lead = f"Lead {name_shown(str(verdict.key))} of {name_shown(verdict.stream)}"
    lines = [f"{lead} was {verdict.verdict} on {_when(verdict.at)}{repeated}."]
    lines += [f"  - {failing.reason} (rule {failing.rule})" for failing in verdict.failing]
    lines += [
        f"  - went without the e-mail address: {withheld.reason} (rule {withheld.rule})"
        for withheld in verdict.withheld
    ]
    lines.append(_CLOSING.get("always" if verdict.always else verdict.verdict, ""))
    seen = ", ".join(f"{name} {shown(value)}" for name, value in verdict.values.items())
    lines.append(f"Values seen: {seen or 'none'}.")
    return "\n".join(printable(line) for line in lines if line)


def _when(at: str) -> str:
    try:
        return f"{datetime.fromisoformat(at):%Y-%m-%d at %H:%M} UTC"
    except ValueError:
        return at
