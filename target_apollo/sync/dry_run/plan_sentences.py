"""The plan of a dry run as sentences, for the log and for reports. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from target_apollo.apollo.forecast import WINDOWS
from target_apollo.sync.sequences.enrolment_counts import enrolment_sentences
from target_apollo.sync.words import duration, listed, moment, plural
from target_apollo.system.shown import name_shown


def plan_sentences(summary: Mapping[str, Any]) -> list[str]:
    """The plan's sentences for the log, without values of records."""
    estimate = summary["estimate"]
    requests = [
        f"{plural(count, 'request')} to {endpoint}"
        for endpoint, count in estimate["requests"].items()
    ]
    duplicates = summary["duplicates"]["found"]
    identity = summary.get("identity") or {}
    return [
        *([f"{', '.join(requests)}."] if requests else []),
        *time_sentences(estimate),
        *unknown_sentences(estimate),
        *identity_sentences(identity),
        *deletion_sentences(summary),
        *enrolment_sentences(summary.get("enrolments") or {}),
        *([f"{plural(duplicates, 'duplicate')} found, see the summary."] if duplicates else []),
    ]


#: Verdict on identity -> the end of a sentence about one row, and about several.
_IDENTITY = {
    "address_changed": (
        "carries another address than the record it is linked to",
        "carry another address than the record they are linked to",
    ),
    "moved": (
        "has the address of another record than the one it is linked to, and goes to that",
        "have the address of another record than the one they are linked to, and go to that",
    ),
    "new": (
        "carries another address and name than the record it is linked to, and is new",
        "carry another address and name than the record they are linked to, and are new",
    ),
    "merged": (
        "is linked to a record that is gone, and goes to the one that has its address",
        "are linked to a record that is gone, and go to the one that has their address",
    ),
    "gone": (
        "is linked to a record that is gone, and nobody has its address",
        "are linked to a record that is gone, and nobody has their address",
    ),
    "held_by_another": (
        "has the address of a record that another row has",
        "have the address of a record that another row has",
    ),
    "ambiguous": (
        "has an address that several records have",
        "have an address that several records have",
    ),
}
_LISTED_KEYS = 5


def identity_sentences(identity: Mapping[str, Any]) -> list[str]:
    """Sentences on rows whose identity had to be decided, with the first keys.

    Args:
        identity: As in the summary: stream -> verdict -> ``count`` and ``keys``.
    """
    return [
        f"{plural(found['count'], 'row')} {_what_rows_are(verdict, found['count'])}: "
        f"{listed(found['keys'], _LISTED_KEYS, found['count'])} (stream '{name_shown(stream)}')."
        for stream, verdicts in identity.items()
        for verdict, found in verdicts.items()
        if found["count"]
    ]


def deletion_sentences(summary: Mapping[str, Any]) -> list[str]:
    """Sentences on records and members of rows that are gone, and on those that returned."""
    removed = summary.get("removed") or {}
    moved = summary.get("deleted") or {}
    returned = summary.get("returned") or {}
    return [
        *(
            f"{plural(count, 'record')} would be moved, since their rows are gone from the source "
            f"(on_delete, stream '{name_shown(stream)}')."
            for stream, count in moved.items()
        ),
        *(
            f"{plural(count, 'member')} would be taken off lists, since their rows are gone from "
            f"the source (stream '{name_shown(stream)}')."
            for stream, count in removed.items()
        ),
        *(
            f"{plural(count, 'record')} would be given back, since their rows have returned "
            f"(on_delete, stream '{name_shown(stream)}')."
            for stream, count in returned.items()
        ),
    ]


def _what_rows_are(verdict: str, count: int) -> str:
    # A summary of another version may have other verdicts.
    name = name_shown(verdict)
    one, several = _IDENTITY.get(verdict, (f"is {name}", f"are {name}"))
    return one if count == 1 else several


def time_sentences(estimate: Mapping[str, Any]) -> list[str]:
    """Sentences on whether the requests fit Apollo's limits, and when they are done."""
    requests = sum(estimate["requests"].values())
    sentences = [_fit_sentence(estimate, requests)]
    if estimate["limits_from"] == "look-ups":
        sentences.append(
            "The key may not read the usage statistics, so what other endpoints have left is not "
            "known: each is taken to have the limits that the look-ups showed, unused."
        )
    if estimate["takes_several_runs"]:
        sentences.append(
            "That includes a wait longer than max_wait_seconds: a run then ends with exit code 3, "
            "and the next one goes on from there."
        )
    sentences += [
        f"{plural(count, 'request')} to {endpoint} are for fields that no row waits for: all rows "
        "are written first, then as many of these fields as Apollo takes; the others follow in "
        "later runs."
        for endpoint, count in (estimate.get("may_follow") or {}).items()
        if count
    ]
    return sentences


def _fit_sentence(estimate: Mapping[str, Any], requests: int) -> str:
    whole = f"The run would send {plural(requests, 'request')}"
    if estimate["limits_from"] == "not asked":
        return f"{whole}, and none of them writes."
    if estimate["limits_from"] == "unknown":
        return (
            f"{whole}. How many Apollo takes a minute, an hour and a day is not known: the key may "
            "not read the usage statistics and no answer told, so nor is the time they need."
        )
    tight = [
        name
        for name in WINDOWS
        if not all(plan[name]["fits"] for plan in estimate["endpoints"].values() if name in plan)
    ]
    fits = "which fit what is left of this minute, this hour and this day"
    if tight:
        fits = f"more than what is left of this {' and this '.join(tight)} at some endpoint"
    if estimate["seconds"] is None:
        return f"{whole}, {fits}; some of them never, since a limit is 0."
    done = datetime.fromisoformat(estimate["done_at"])
    seconds = estimate["seconds"]
    took = "less than a second" if seconds < 1 else f"about {duration(seconds)}"
    return f"{whole}, {fits}; begun now they take {took}, until {moment(done)} UTC."


def unknown_sentences(estimate: Mapping[str, Any]) -> list[str]:
    """Sentences on the rows whose records were not looked up."""
    sentences = [
        f"{plural(count, 'row')} of {kind} counted as created or updated may exist or be gone: "
        "they were not looked up. Those to create that exist need an update where they differ."
        for kind, count in estimate["not_looked_up"].items()
    ]
    return [*sentences, estimate["not_looked_up_because"]] if sentences else []
