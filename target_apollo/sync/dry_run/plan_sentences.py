"""The plan of a dry run as sentences, for the log and for reports. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from target_apollo.apollo.forecast import WINDOWS
from target_apollo.sync.words import duration, moment, plural


def plan_sentences(summary: Mapping[str, Any]) -> list[str]:
    """The plan's sentences for the log, without values and keys of records."""
    estimate = summary["estimate"]
    requests = [
        f"{plural(count, 'request')} to {endpoint}"
        for endpoint, count in estimate["requests"].items()
    ]
    duplicates = summary["duplicates"]["found"]
    return [
        *([f"{', '.join(requests)}."] if requests else []),
        *time_sentences(estimate),
        *unknown_sentences(estimate),
        *([f"{plural(duplicates, 'duplicate')} found, see the summary."] if duplicates else []),
    ]


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
    took = duration(estimate["seconds"])
    return f"{whole}, {fits}; begun now they take about {took}, until {moment(done)} UTC."


def unknown_sentences(estimate: Mapping[str, Any]) -> list[str]:
    """Sentences on the rows whose records were not looked up."""
    sentences = [
        f"{plural(count, 'row')} of {kind} counted as created or updated may exist or be gone: "
        "they were not looked up. Those to create that exist need an update where they differ."
        for kind, count in estimate["not_looked_up"].items()
    ]
    return [*sentences, estimate["not_looked_up_because"]] if sentences else []
