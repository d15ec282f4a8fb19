"""Whatever the rows, the sandbox and the batches: one contact per e-mail, with the last values."""

from __future__ import annotations

import io
import itertools
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from target_apollo.sandbox import Sandbox, SandboxOptions
from target_apollo.sandbox.serving.rate_windows import Plan
from target_apollo.target.target import TargetApollo
from tests.helpers.new_sandbox import new_sandbox

_WORLD = itertools.count()
FIELDS = ("title", "present_raw_address", "phone_number", "mobile_phone")

values = st.one_of(st.none(), st.sampled_from(["A", "B", "C"]))
phones = st.one_of(st.none(), st.sampled_from(["+49 30 111", "(030) 222-33", "+4930444"]))
# A plain number that is a mobile one already counts as held: tests/model/test_compare.py.
mobiles = st.one_of(st.none(), st.sampled_from(["+49 171 111", "(0171) 222-33", "+49171444"]))
contents = st.fixed_dictionaries(
    {},
    optional={
        "title": values,
        "present_raw_address": values,
        "phone_number": phones,
        "mobile_phone": mobiles,
    },
)
people = st.integers(0, 4)
rows = st.lists(
    st.tuples(st.integers(1, 6), people, st.sampled_from(["", " ", "UP"]), contents), max_size=25
)


@pytest.fixture(scope="module")
def apollo() -> Iterator[Sandbox]:
    options = SandboxOptions(strict=True, plan=Plan.UNLIMITED)
    with new_sandbox(options) as sandbox:
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        yield sandbox
        for number, handler in handlers.items():
            signal.signal(number, handler)


def address(person: int, world: int, spelling: str = "") -> str:
    plain = f"person{person}@world{world}.com"
    return {"": plain, " ": f"  {plain} ", "UP": plain.upper()}[spelling]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@example(
    # Keys 1 and 6 are one person, and the last row has what its key had before.
    held={},
    sent=[(key, 0, "", {"mobile_phone": f"+49 171 {key}"}) for key in (1, 6, 1)],
    batch_size=1,
    parallel=1,
    keyed=True,
    with_ledger=True,
)
@given(
    held=st.dictionaries(people, values, max_size=5),
    sent=rows,
    batch_size=st.sampled_from([1, 2, 3, 100]),
    parallel=st.sampled_from([1, 3]),
    keyed=st.booleans(),
    with_ledger=st.booleans(),
)
def test_upsert_leaves_one_contact_per_email_with_the_last_values(
    apollo: Sandbox,
    tmp_path_factory: pytest.TempPathFactory,
    held: dict[int, str | None],
    sent: list[tuple[int, int, str, dict[str, Any]]],
    batch_size: int,
    parallel: int,
    keyed: bool,
    with_ledger: bool,
) -> None:
    folder: Path = tmp_path_factory.mktemp("law")
    world = next(_WORLD)
    expected: dict[str, dict[str, Any]] = {}
    for person, title in held.items():
        apollo.store.add_contact(email=address(person, world), title=title)
        expected[address(person, world)] = {"title": title}
    messages: list[dict[str, Any]] = [
        {
            "type": "SCHEMA",
            "stream": "contacts",
            "schema": {"properties": {"id": {}, "email": {}, **{name: {} for name in FIELDS}}},
            "key_properties": ["id"] if keyed else [],
        }
    ]
    for number, (key, person, spelling, fields) in enumerate(sent):
        # With a key, one key is one person for good; changes of e-mail have tests of their own.
        person = key % 5 if keyed else person
        messages.append(
            {
                "type": "RECORD",
                "stream": "contacts",
                "record": {
                    "id": key if keyed else number,
                    "email": address(person, world, spelling),
                    **fields,
                },
            }
        )
        mine = expected.setdefault(address(person, world), {})
        mine.update({name: value for name, value in fields.items() if value is not None})
    lines = "".join(json.dumps(message) + "\n" for message in messages)
    target = TargetApollo(
        config={
            "api_key": apollo.api_key,
            "api_url": apollo.url,
            "batch_size": batch_size,
            "parallel_requests": parallel,
            "ledger_url": f"sqlite:///{folder}/ledger.db" if with_ledger else "",
            "rejects_path": str(folder / "rejects.singer"),
            "summary_path": str(folder / "summary.json"),
        }
    )

    assert target.sync(io.BytesIO(lines.encode())) == 0

    arrived = [c for c in apollo.store.contacts() if str(c["email"]).endswith(f"@world{world}.com")]
    assert sorted(str(c["email"]) for c in arrived) == sorted(expected)
    for contact in arrived:
        wanted = expected[str(contact["email"])]
        assert contact["title"] == wanted.get("title")
        assert contact["present_raw_address"] == wanted.get("present_raw_address")
        numbers = [number["raw_number"] for number in contact["phone_numbers"]]
        for name in ("phone_number", "mobile_phone"):
            if wanted.get(name):
                assert wanted[name] in numbers
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["records"]["without_outcome"] == 0
