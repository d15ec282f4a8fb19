"""A team in Apollo and the runs that sync rows into it, with what each of them sent and left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from target_apollo.sandbox import Sandbox

if TYPE_CHECKING:
    from tests.promises.conftest import Message, Run, TargetRun

Values = dict[str, Any]

CREATES = frozenset({"POST /contacts/bulk_create", "POST /accounts/bulk_create"})
SEARCHES = frozenset({"POST /contacts/search", "POST /accounts/search"})
READS = frozenset({"GET /contacts/{id}", "GET /accounts/{id}"})
#: Asked by every run, whatever its rows are.
_FIXED = frozenset({"POST /usage_stats/api_usage_stats"})


@dataclass
class World:
    """A sandbox, and the settings of every run into it.

    Attributes:
        apollo: The sandbox.
        sync: Runs the target inside the test.
        settings: Settings of every run: the ledger and the method of updates.
        has_ledger: Whether runs know which record each row became.
    """

    apollo: Sandbox
    sync: Run
    settings: Values = field(default_factory=dict)
    has_ledger: bool = True

    def run(self, messages: Sequence[Message], **settings: Any) -> TargetRun:
        """One run; the log of requests is that of this run alone."""
        self.apollo.reset_log()
        done = self.sync(list(messages), **{**self.settings, **settings})
        if done.exit_code == 0:
            assert done.summary["records"].get("without_outcome", 0) == 0
        return done

    def stays(self, messages: Sequence[Message], *, asks: bool = False, **settings: Any) -> None:
        """Run twice more: Apollo stays as it is, and nothing is sent.

        Without a ledger each run sends its rows for comparison, by bulk_create.

        Args:
            asks: Whether rows may be looked up again, or compared by bulk_create: rejected ones.
        """
        allowed = CREATES | SEARCHES | READS if asks or not self.has_ledger else frozenset()
        for _ in range(2):
            before = self.records()
            again = self.run(messages, **settings)
            sent = self.sent()
            assert changes(before, self.records()) == [], f"{sent}\n{again.log}"
            assert sent.keys() <= allowed, f"{sent}\n{again.log}"
            assert not again.records.keys() & {"created", "updated"}, again.records

    def sent(self) -> dict[str, int]:
        """Label of an endpoint -> requests of the last run, for writes, searches and reads."""
        asked = Counter(request.endpoint for request in self.apollo.requests)
        return {
            label: count
            for label, count in asked.items()
            if label not in _FIXED and (label in READS or not label.startswith("GET "))
        }

    def written(self) -> dict[str, int]:
        """Label of an endpoint -> requests of the last run, for writes alone."""
        return {k: n for k, n in self.sent().items() if k not in SEARCHES | READS}

    def updates(self) -> dict[str, int]:
        """Label of an endpoint -> requests of the last run that change records."""
        return {label: n for label, n in self.written().items() if label not in CREATES}

    def records(self) -> list[Values]:
        """All that Apollo holds, with the times of the last change."""
        store = self.apollo.store
        return [*store.contacts(), *store.accounts()]

    def names(self) -> list[tuple[str, str]]:
        """(e-mail address, first name) of each contact, sorted."""
        return sorted(
            (str(one.get("email")), str(one.get("first_name")))
            for one in self.apollo.store.contacts()
        )

    def firms(self) -> list[tuple[str, str]]:
        """(domain, name) of each account, sorted."""
        return sorted(
            (str(one.get("domain")), str(one.get("name"))) for one in self.apollo.store.accounts()
        )

    def contact(self, email: str) -> Values:
        """The one contact with this address as its primary one."""
        (found,) = (one for one in self.apollo.store.contacts() if one.get("email") == email)
        return found

    def account(self, domain: str) -> Values:
        (found,) = (one for one in self.apollo.store.accounts() if one.get("domain") == domain)
        return found


def changes(before: list[Values], after: list[Values]) -> list[str]:
    """What became of records, a line for each value: ``<id>: title 'Old' -> 'New'``."""
    old, new = ({one["id"]: one for one in records} for records in (before, after))
    lines = [f"{one}: is gone" for one in old.keys() - new.keys()]
    for record_id, record in new.items():
        former = old.get(record_id)
        if former is None:
            lines.append(f"{record_id}: is new")
            continue
        lines += [
            f"{record_id}: {name} {former.get(name)!r} -> {value!r}"
            for name, value in record.items()
            if former.get(name) != value
        ]
    return lines


def details(done: TargetRun) -> list[str]:
    """What the rejects file says to each rejected row."""
    return [reject["record"]["_reject"]["detail"] for reject in done.rejects]


def names_both(done: TargetRun, ids: Iterable[str]) -> bool:
    """Whether the one reject names all of these Apollo ids."""
    (detail,) = details(done)
    return all(one in detail for one in ids)


def keys_rejected(done: TargetRun) -> list[Any]:
    return sorted(reject["record"]["id"] for reject in done.rejects)


def one_fast(*values: Any) -> list[Any]:
    """Parameters of which the first is for all tiers of the tests, the others for the full one.

    A value that is a tuple stands for several parameters.
    """
    first, *others = (one if isinstance(one, tuple) else (one,) for one in values)
    slow = [pytest.param(*other, marks=pytest.mark.full) for other in others]
    return [pytest.param(*first), *slow]
