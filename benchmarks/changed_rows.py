"""The number of requests for 1,000 rows with one changed field, by what else they carry.

    python benchmarks/changed_rows.py

Rows carry values that only a request for each record writes, or whose policy needs the record. A
target process syncs them twice into a strict sandbox without limits, whose bulk answers have no
more fields than Apollo documents. The sandbox counts the requests of the second run.

    with ledger      an earlier run with the same ledger wrote the rows (the default)
    without ledger   the setting ledger_url is empty
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bars import Bar
from processes import Message, forget_requests, request_counts, run_target, sandbox, write_messages
from requests_per_thousand import ROWS, split

_TEXT = {"type": ["string", "null"]}
_PHONE, _MOBILE = "+1 415 555 0100", "+1 415 555 0101"


@dataclass(frozen=True)
class Kind:
    """Rows of one kind, and the most requests that the second run may send.

    Attributes:
        values: What each row carries beside its names and the changed field.
        most: None if the figure has no bar.
        most_without: The same without ledger.
    """

    what: str
    stream: str
    values: dict[str, str]
    most: int | None = 20
    most_without: int | None = 20
    settings: dict[str, Any] = field(default_factory=dict)


#: The goal of 20 is not reached. Without a ledger a hundred rows are matched by a bulk_create, seen
#: in a search, since that answer leaves the value out, and written by a bulk_update: 30 in all.
_THREE_EACH: int | None = None
_SITE = {"website_url": "https://company.example/about"}
KINDS = (
    Kind(
        "accounts with phone and address",
        "accounts",
        {"phone": _PHONE, "raw_address": "1 Main Street, Springfield"},
        most_without=_THREE_EACH,
    ),
    Kind("contacts with a phone", "contacts", {"phone_number": _PHONE}, most_without=_THREE_EACH),
    # Apollo shows no website of a contact in any answer.
    Kind("contacts with `website_url`", "contacts", _SITE, most_without=None),
    Kind(
        "contacts with a mobile phone and `website_url`",
        "contacts",
        {"mobile_phone": _MOBILE, **_SITE},
        most_without=None,
    ),
    *(
        Kind(
            f"contacts, policy `{policy}` on another field",
            "contacts",
            {},
            most=30,
            most_without=30,
            settings={"field_policy": {"last_name": policy}},
        )
        for policy in ("fill_if_empty", "newest")
    ),
    *(
        Kind(
            f"contacts, policy `{policy}` on the changed field",
            "contacts",
            {},
            most=30,
            most_without=30,
            settings={"field_policy": {"title": policy}},
        )
        for policy in ("fill_if_empty", "newest")
    ),
)


def messages(kind: Kind, changed: str, updated_at: str) -> Iterator[Message]:
    first = {"first_name": "Kim", "title": changed, "updated_at": updated_at}
    of_account = {"name": changed}
    names = (
        ["domain", *of_account]
        if kind.stream == "accounts"
        else ["email", "last_name", "organization_name", *first]
    )
    schema = {"properties": {"id": {"type": "integer"}, **dict.fromkeys(names, _TEXT)}}
    schema["properties"] |= dict.fromkeys(kind.values, _TEXT)
    yield {"type": "SCHEMA", "stream": kind.stream, "schema": schema, "key_properties": ["id"]}
    for number in range(ROWS):
        host = f"company{number}.example"
        own = (
            {"domain": host, "name": f"{changed} {number}"}
            if kind.stream == "accounts"
            else {
                **first,
                "email": f"person{number}@{host}",
                "last_name": f"Person {number}",
                "organization_name": f"Company {number}",
            }
        )
        record = {"id": number, **own, **kind.values}
        yield {"type": "RECORD", "stream": kind.stream, "record": record}
    yield {"type": "STATE", "value": {"rows": ROWS}}


def measure(kind: Kind, folder: Path, *, with_ledger: bool) -> None:
    before, after = folder / "before.singer", folder / "after.singer"
    write_messages(before, messages(kind, "Engineer", "2026-01-01T00:00:00Z"))
    write_messages(after, messages(kind, "Head of Engineering", "2099-01-01T00:00:00Z"))
    ledger = f"sqlite:///{folder}/ledger.db" if with_ledger else ""
    settings = {**kind.settings, "ledger_url": ledger}
    with sandbox("--strict", "--plan", "unlimited", "--option", "bulk_answers=documented") as url:
        run_target(url, before, folder, settings)
        forget_requests(url)
        outcomes = run_target(url, after, folder, settings).outcomes
        rows, look_ups = split(request_counts(url))
    total = sum(rows.values())
    ways = ", ".join(f"{count} {name}" for name, count in sorted(rows.items())) or "nothing"
    ledger_words = "with ledger" if with_ledger else "without ledger"
    what = f"requests, {ROWS:,} changed {kind.what}, {ledger_words}"
    print(f"{what}: {total} ({ways}) and {look_ups} look-ups; outcomes {outcomes}")
    most = kind.most if with_ledger else kind.most_without
    bar = "for comparison" if most is None else f"at most {most} and look-ups"
    met = None if most is None else total <= most
    print(Bar(what, bar, f"{total} and {look_ups} look-ups", met).line)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()
    for kind in KINDS:
        for with_ledger in (True, False):
            with tempfile.TemporaryDirectory() as name:
                measure(kind, Path(name), with_ledger=with_ledger)


if __name__ == "__main__":
    main()
