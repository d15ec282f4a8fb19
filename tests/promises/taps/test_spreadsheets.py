"""Files of a spreadsheet through tap-spreadsheets, with mappers of others before and after ours."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from target_apollo.sandbox import Sandbox, SandboxOptions
from target_apollo.sandbox.serving.rate_windows import Plan
from tests.helpers.new_sandbox import new_sandbox
from tests.helpers.taps import MAPPER, Line, Tap, installed
from tests.promises.conftest import Message

pytestmark = pytest.mark.full

LEADS = 60
WORDS = ("Cold", "Interested", "Qualified")


@pytest.fixture
def apollo() -> Iterator[Sandbox]:
    with new_sandbox(SandboxOptions(strict=True, plan=Plan.UNLIMITED)) as sandbox:
        yield sandbox


@pytest.fixture
def line(tmp_path: Path, apollo: Sandbox) -> Line:
    return Line(tmp_path, apollo)


def spreadsheets(folder: Path, file: Path, table: str, **settings: Any) -> Tap:
    """A tap of one file whose key is the column ``id``."""
    files = [{"path": str(file), "format": "csv", "table_name": table, "primary_keys": ["id"]}]
    command = installed("tap-spreadsheets", "tap-spreadsheets")
    return Tap(command, folder / "tap", {"files": files, **settings})


def write(path: Path, rows: Sequence[Message], at: int) -> None:
    """Writes rows with a header; ``at`` is the file's time of change, in epoch seconds."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    os.utime(path, (at, at))


def person(number: int) -> Message:
    return {
        "ID": number,
        "E-Mail": f'"Person {number}" <p{number}@sheet.example>',
        "First Name": f"Zoë, {number}" if number % 5 else "",
        "Last Name": 'O"Hara' if number % 3 else "  李 ",
        "Phone Number": f"+49 30 {1000 + number}" if number % 4 else "",
        "Title": "Head of\nR&D",
    }


def test_rows_of_a_file_arrive_and_of_a_changed_file_only_the_changed_row_is_sent(
    line: Line, tmp_path: Path
) -> None:
    file = tmp_path / "people.csv"
    rows = [person(number) for number in range(50)]
    write(file, rows, at=1_780_000_000)
    tap = spreadsheets(tmp_path, file, "contacts")
    maps = {"stream_maps": {"contacts": {"email": "e_mail", "e_mail": "__NULL__"}}}

    first = line.run(tap.read(), **maps)

    assert first.codes == [0, 0], first.log
    found = {one["email"]: one for one in line.apollo.store.contacts()}
    assert len(found) == len(line.apollo.store.contacts()) == 50
    names = [(one["first_name"], one["last_name"], one["title"]) for one in found.values()]
    assert names[1] == ("Zoë, 1", 'O"Hara', "Head of\nR&D")
    assert names[15][:2] == (None, "李")
    assert found["p1@sheet.example"]["phone_numbers"][0]["raw_number"] == "+49 30 1001"

    rows[7]["Title"] = "Chief"
    write(file, rows, at=1_780_000_900)
    second = line.run(tap.read(first.target.last_state), **maps)

    assert second.target.records == {"received": 50, "unchanged": 49, "updated": 1}, second.log


def test_leads_go_through_maps_before_and_after_they_are_qualified(
    line: Line, tmp_path: Path
) -> None:
    file = tmp_path / "leads.csv"
    write(file, [lead(number) for number in range(LEADS)], at=1_780_000_000)
    tap = spreadsheets(tmp_path, file, "leads")
    transform = installed("meltano-map-transform", "meltano-map-transform")
    before = {
        "stream_maps": {
            "leads": {
                "name": "company.strip()",
                "domain": "website",
                "company": None,
                "website": None,
                "__filter__": "record['record_type'] != 'test'",
            }
        }
    }
    rules = {
        "stage": {"order": list(WORDS), "minimum": "Interested"},
        "owner_mapped": {"map": {"1": "avery.admin@sandbox.example"}},
        "not_synced": False,
        "settled": False,
    }
    qualify = {"streams": ["leads"], "output_stream": "accounts", "rules": rules}
    after = {"stream_maps": {"accounts": {"name": "name + ' Ltd'", "__key_properties__": ["id"]}}}
    configs = {"before": before, "qualify": {**qualify, "verdicts_path": ""}, "after": after}

    done = line.run(
        tap.read(),
        [transform, "--config", settings_file(tmp_path, "before", configs)],
        [*MAPPER, "--config", settings_file(tmp_path, "qualify", configs)],
        [transform, "--config", settings_file(tmp_path, "after", configs)],
        unknown_fields="ignore",
    )

    assert done.codes == [0, 0, 0, 0, 0], done.log
    owner = line.apollo.store.users()[0]["id"]
    found = [(one["name"], one["domain"], one["owner_id"]) for one in line.apollo.store.accounts()]
    assert sorted(found) == sorted(
        (f"Firm {number} Ltd", f"firm{number}.de", owner)
        for number in range(LEADS)
        if number % 3 and number % 5 and number % 7
    )
    assert done.target.last_state == tap_state(done.messages)


def lead(number: int) -> Message:
    """A lead: some are cold, some tests, some of a user without an owner."""
    return {
        "id": number,
        "record_type": "company" if number % 5 else "test",
        "company": f" Firm {number}  ",
        "website": f"https://www.firm{number}.de/about",
        "is_customer": "no",
        "icp_fit": "strong",
        "stage": WORDS[number % 3],
        "quarantine_status": "active",
        "user_id": 1 if number % 7 else 2,
    }


def settings_file(folder: Path, name: str, configs: Message) -> Path:
    path = folder / f"{name}.json"
    path.write_text(json.dumps(configs[name]))
    return path


def tap_state(messages: dict[str, list[Message]]) -> object:
    """The last STATE that came to the target."""
    return messages["STATE"][-1]["value"]
