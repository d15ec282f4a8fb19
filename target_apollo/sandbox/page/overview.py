"""The first view: what is in the sandbox, and what the last run did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from target_apollo.sandbox.page.choice import View, address
from target_apollo.sandbox.page.requests import agent_of, endpoints_table, records_of
from target_apollo.sandbox.page.runs import Run, runs_of
from target_apollo.sandbox.page.tables import Table, Text, plural, stamp, took
from target_apollo.sandbox.state import Sandbox

_BESIDE = (
    "Another run of the same program was under way. Requests do not say which run they are of: on "
    "a connection that was opened meanwhile, they are counted with the run that began last."
)


@dataclass(frozen=True)
class Tile:
    """How many records of a kind there are."""

    name: str
    count: str
    href: str


@dataclass(frozen=True)
class LastRun:
    """The last run: a sentence, the records that it made or changed, and its requests.

    Attributes:
        doubt: What the numbers do not tell for sure, as a sentence; empty if they do.
    """

    story: str
    doubt: str
    href: str
    records: Sequence[Text]
    endpoints: Table


def counts_of(sandbox: Sandbox) -> dict[View, int]:
    """View -> number of its records or requests."""
    store = sandbox.store
    return {
        **{view: len(records) for view, records in records_of(store).items()},
        View.REQUESTS: sandbox.log.next_number - 1,
    }


def tiles_of(sandbox: Sandbox) -> list[Tile]:
    """A tile for each kind of record."""
    return [
        Tile(
            view.value[:-1] if len(records) == 1 else view.value, f"{len(records):,}", address(view)
        )
        for view, records in records_of(sandbox.store).items()
    ]


def last_run_of(sandbox: Sandbox) -> LastRun | None:
    """What the last run did; None without any request. The caller holds the store's lock."""
    runs = runs_of(sandbox.requests)
    if not runs:
        return None
    run = runs[0]
    begun = stamp(run.requests[0].at)
    return LastRun(
        story=f"{plural(len(run.requests), 'request')} by {agent_of(run)}, from {begun}, in "
        f"{took(run.seconds)}.",
        doubt=_BESIDE if run.is_beside_another else "",
        href=address(View.REQUESTS, run=run.first),
        records=_touched(sandbox, run),
        endpoints=endpoints_table(run),
    )


def _touched(sandbox: Sandbox, run: Run) -> list[Text]:
    touched, numbers = sandbox.store.origins.touched, run.numbers
    counts = {
        view: sum(touched(record_id, numbers) for record_id in records)
        for view, records in records_of(sandbox.store).items()
    }
    return [
        Text(f"{plural(count, view.value[:-1])}", href=address(view, run=run.first))
        for view, count in counts.items()
        if count
    ]
