"""A key tells one row from all others, or the row is rejected; no address in a key is shown."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from target_apollo.sandbox import Sandbox
from target_apollo.tap.tap import TapApolloSync
from tests.ledger.conftest import own_schema, postgresql_server  # noqa: F401 - a fixture
from tests.promises.conftest import CONTACT_SCHEMA, Message, Run, contact, record, schema

KEYS: Message = {"properties": {**CONTACT_SCHEMA["properties"], "id": {}, "tenant": {}}}
TENANTS: Message = {
    "type": "SCHEMA",
    "stream": "contacts",
    "schema": KEYS,
    "key_properties": ["tenant", "id"],
}
WHOLE: Message = {"type": "ACTIVATE_VERSION", "stream": "contacts", "version": 1}
#: Nothing is seen in them; each was the key of several people.
MISSING = ("", "  ", "\u200b", "\n\t", None)
#: Keys that could be an address of Ann.
ADDRESSES = (
    "ann-private@@x",
    "Ann <ann-private@x.example>",
    "ann-private@x",
    "not an address ann-private@",
    "ann-private\uff20x.example",
    "ann-private\ufe6bx.example",
    "ann-private%40x.example",
    "mailto:ann-private@x.example",
    "@ann-private",
)


@pytest.fixture(params=["sqlite", "none", pytest.param("postgresql", marks=pytest.mark.full)])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A new ledger of each kind."""
    if request.param == "postgresql":
        with own_schema(request.getfixturevalue("postgresql_server")) as url:
            yield url
    else:
        yield f"sqlite:///{tmp_path}/ledger.db" if request.param == "sqlite" else ""


def emails(apollo: Sandbox) -> list[str]:
    return sorted(str(found["email"]) for found in apollo.store.contacts())


def test_rows_with_a_missing_key_are_rejected_and_overwrite_nobody(
    sync: Run, apollo: Sandbox, ledger: str
) -> None:
    people = [contact(n, id=key) for n, key in enumerate((*MISSING, *MISSING))]

    done = sync([schema("contacts", KEYS), *people, contact(99)], ledger_url=ledger)

    assert done.reasons == ["missing_key_property"] * 10
    assert emails(apollo) == ["p99@a.com"]


@pytest.mark.parametrize("part", MISSING)
def test_a_key_with_a_missing_part_is_a_missing_key(
    sync: Run, apollo: Sandbox, part: str | None
) -> None:
    people = [contact(n, tenant=part, id=7) for n in (1, 2)]

    done = sync([TENANTS, *people, contact(3, tenant="de", id=7)])

    assert done.reasons == ["missing_key_property"] * 2
    assert "nothing stands in 'tenant'" in done.log
    assert emails(apollo) == ["p3@a.com"]


def test_the_numbers_0_and_false_are_keys(sync: Run, apollo: Sandbox, ledger: str) -> None:
    done = sync(
        [schema("contacts", KEYS), contact(1, id=0), contact(2, id=False)], ledger_url=ledger
    )

    assert done.records == {"received": 2, "created": 2}


@pytest.mark.parametrize("update_method", ["individual", "bulk"])
def test_true_and_1_are_two_rows(
    sync: Run, apollo: Sandbox, ledger: str, update_method: str
) -> None:
    rows = [contact(n, id=key) for n, key in enumerate((1, True, "1", "true", 0, False))]
    settings = {"ledger_url": ledger, "update_method": update_method}

    first = sync([schema("contacts", KEYS), *rows], **settings)
    titled = [
        record("contacts", **{**row["record"], "title": str(n)}) for n, row in enumerate(rows)
    ]
    second = sync([schema("contacts", KEYS), *titled], **settings)

    assert first.records == {"received": 6, "created": 6}
    assert second.records == {"received": 6, "updated": 6}
    assert {c["email"]: c["title"] for c in apollo.store.contacts()} == {
        f"p{n}@a.com": str(n) for n in range(6)
    }


def test_spellings_of_one_number_are_one_row(sync: Run, apollo: Sandbox, ledger: str) -> None:
    lines = "\n".join(
        f'{{"type":"RECORD","stream":"contacts","record":{{"id":{key},"email":"p1@a.com"}}}}'
        for key in ("1", "1.0", "1e0", "10e-1")
    )

    done = sync([schema("contacts", KEYS), lines], ledger_url=ledger)

    assert done.records == {"received": 4, "created": 1, "skipped": 3}


def test_a_table_with_a_missing_key_moves_no_row(sync: Run, apollo: Sandbox) -> None:
    settings = {"on_delete": "list:gone"}
    sync([schema("contacts", KEYS), contact(1), contact(2), WHOLE], **settings)

    # One of the two rows may be the one that lost its key.
    done = sync([schema("contacts", KEYS), contact(1), contact(2, id=""), WHOLE], **settings)

    assert done.reasons == ["missing_key_property"]
    assert [c["label_ids"] for c in apollo.store.contacts()] == [[], []]


@pytest.mark.full
def test_no_address_in_a_key_is_shown_anywhere(sync: Run, tmp_path: Path, ledger: str) -> None:
    rows = [contact(n, id=key, first_name="x") for n, key in enumerate(ADDRESSES)]
    wrong = [contact(n, id=f"{key}.", email="none") for n, key in enumerate(ADDRESSES)]
    twins = [contact(1, id=f"{key}/", email="twin@a.com") for key in ADDRESSES[:2]]
    settings = {"ledger_url": ledger, "match_on": ["email", "hubspot_id"]}

    done = sync([schema("contacts", KEYS), *rows, *wrong, *twins], **settings)
    report = subprocess.run(
        [Path(sys.executable).with_name("apollo-sync"), "report", "--config", "config.json"],
        capture_output=True,
        cwd=tmp_path,
        check=False,
    )

    assert done.records["created"] >= len(ADDRESSES)
    assert done.records["rejected"] >= len(ADDRESSES)
    shown = {
        "log": done.log,
        "summary": json.dumps(done.summary, ensure_ascii=False),
        "report": (report.stdout + report.stderr).decode(),
        "ledger": (tmp_path / "ledger.db").read_bytes().decode("latin-1")
        if "sqlite" in ledger
        else "",
    }
    assert [name for name, text in shown.items() if "ann-private" in text] == []


@pytest.mark.full
@pytest.mark.parametrize("key", ADDRESSES)
def test_a_run_that_fails_at_a_record_shows_no_address_of_its_key(
    sync: Run, run_target: Run, key: str
) -> None:
    run = run_target if key == ADDRESSES[0] else sync

    done = run([schema("contacts", KEYS), contact(1, id=key, email="none")], on_record_error="fail")

    assert done.exit_code == 1
    assert "ann-private" not in done.log + json.dumps(done.summary, ensure_ascii=False)


def test_the_tap_shows_no_address_of_a_key(
    sync: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sync([schema("contacts", KEYS), *(contact(n, id=key) for n, key in enumerate(ADDRESSES))])

    config = {"ledger_url": f"sqlite:///{tmp_path}/ledger.db", "api_key": "sandbox"}
    tap = TapApolloSync(config=config, catalog=None)
    rows = list(tap.streams["apollo_sync_results"].rows())  # type: ignore[attr-defined]

    assert len(rows) == len(ADDRESSES)
    assert "ann-private" not in json.dumps(rows) + capsys.readouterr().err
