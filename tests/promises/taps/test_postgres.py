"""Tables of PostgreSQL through two taps that others wrote, whole and by what has changed.

Neither has LOG_BASED here: both read the write-ahead log through wal2json, which the PostgreSQL of
these tests does not have. What such taps send is in `tests/promises/test_on_delete.py`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from target_apollo.demo.meltano import ROOT, install_plugins
from target_apollo.demo.postgres import PostgresServer
from target_apollo.sandbox import SandboxOptions
from target_apollo.sandbox.serving.rate_windows import Plan
from tests.helpers.databases import database_on, own_database
from tests.helpers.new_sandbox import new_sandbox
from tests.helpers.taps import Ended, Line, Tap, installed, select
from tests.helpers.worlds import one_fast
from tests.promises.taps.warehouse import (
    PEOPLE,
    SETTINGS,
    STREAMS,
    Warehouse,
    due,
    held,
    prepare,
)

GONE = {"on_delete": "stage:Bad Data"}
DATED = ("crm-contacts", "crm-branch_contacts")


class Kind(enum.Enum):
    """Whose tap-postgres reads the tables."""

    MELTANOLABS = "meltanolabs"
    PIPELINEWISE = "pipelinewise"


@dataclass
class Pipeline:
    """Tables, a tap, and a team in Apollo."""

    warehouse: Warehouse
    tap: Tap
    line: Line

    def read_whole(self) -> None:
        """Selects all tables, each to be read whole in every run."""
        assert self.tap.catalog is not None
        select(self.tap.catalog, {one: {"replication-method": "FULL_TABLE"} for one in STREAMS})

    def read_changes(self) -> None:
        """Selects the tables with a time of change, to be read from their bookmarks on."""
        assert self.tap.catalog is not None
        by_time = {"replication-method": "INCREMENTAL", "replication-key": "updated_at"}
        select(self.tap.catalog, dict.fromkeys(DATED, by_time))

    def leave_out(self, stream: str, column: str) -> None:
        """Deselects a column."""
        assert self.tap.catalog is not None
        for one in self.tap.catalog["streams"]:
            if one["tap_stream_id"] == stream:
                for part in one["metadata"]:
                    if part["breadcrumb"] == ["properties", column]:
                        part["metadata"]["selected"] = False

    def run(self, state: Any = None, **options: Any) -> Ended:
        return self.line.run(self.tap.read(state), **options)

    def moved(self) -> list[str]:
        """The addresses of the contacts in the stage of deleted rows."""
        store = self.line.apollo.store
        (stage,) = (one["id"] for one in store.contact_stages if one["name"] == "Bad Data")
        return sorted(one["email"] for one in store.contacts() if one["contact_stage_id"] == stage)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with own_database() as running:
        yield running


@pytest.fixture(scope="module", params=one_fast(*Kind), ids=lambda kind: kind.value)
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


@pytest.fixture(scope="module")
def tap(kind: Kind, tables: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Tap:
    """A tap with the catalog that it has made of the tables."""
    folder = tmp_path_factory.mktemp(kind.value)
    settings = {
        "host": tables.host,
        "port": tables.port,
        "user": tables.user,
        "password": tables.password,
    }
    if kind is Kind.MELTANOLABS:
        install_plugins()
        command = ROOT / ".meltano" / "extractors" / "tap-postgres" / "venv" / "bin"
        settings |= {
            "database": tables.database,
            "filter_schemas": ["crm"],
            "emit_activate_version_messages": True,
        }
        made = Tap(command / "tap-postgres", folder, settings)
    else:
        settings |= {"dbname": tables.database, "filter_schemas": "crm"}
        made = Tap(installed("pipelinewise-tap-postgres", "tap-postgres"), folder, settings)
    made.catalog = made.discover()
    return made


@pytest.fixture(scope="module")
def tables(server: PostgresServer, kind: Kind) -> Iterator[PostgresServer]:
    """A database with the tables, a new one for each tap."""
    with database_on(server) as database:
        Warehouse(database.url)
        yield database


@pytest.fixture(scope="module")
def whole(
    tables: PostgresServer, tap: Tap, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pipeline]:
    """Tables that are read whole in each run."""
    with _pipeline(tables, tap, tmp_path_factory.mktemp("whole"), GONE) as pipeline:
        yield pipeline


@contextmanager
def _pipeline(
    tables: PostgresServer, tap: Tap, folder: Path, settings: dict[str, Any]
) -> Iterator[Pipeline]:
    with new_sandbox(SandboxOptions(strict=True, plan=Plan.UNLIMITED)) as apollo:
        prepare(apollo)
        line = Line(folder, apollo, {**SETTINGS, **settings})
        yield Pipeline(Warehouse(tables.url), tap, line)


@pytest.fixture(scope="module")
def first(whole: Pipeline) -> Ended:
    whole.read_whole()
    return whole.run()


@pytest.mark.full
def test_each_row_is_in_apollo_once_with_the_values_of_its_columns(
    first: Ended, whole: Pipeline
) -> None:
    assert first.codes == [0, 0], first.log
    found = held(whole.line.apollo)

    assert {email: found.get(email) for email in due()} == due()
    others = found.keys() - due().keys()
    assert sorted(others) == sorted(
        f"{letter}{number}@{table}.example"
        for letter, table in (("b", "branch"), ("l", "loose"), ("u", "user"))
        for number in range(1, 21)
    )
    assert found["u7@user.example"]["custom"] == {"Order of arrival": "7"}
    assert first.target.records == {"received": PEOPLE + 60, "created": PEOPLE + 60}


@pytest.mark.full
def test_records_of_deleted_rows_move_and_none_of_a_table_that_a_killed_tap_has_cut(
    first: Ended, whole: Pipeline
) -> None:
    whole.warehouse.do(
        "delete from crm.contacts where first_name = 'Zoë 9';"
        "delete from crm.branch_contacts where region = 'R1' and number = 5"
    )
    whole.read_whole()

    killed = whole.run(first.target.last_state, most_records=60)

    assert killed.codes[0] != 0
    # This table came before the other, and whole.
    assert whole.moved() == ["b5@branch.example"]

    done = whole.run(killed.target.last_state)

    assert done.codes == [0, 0], done.log
    assert whole.moved() == sorted(["p9@example.org", "b5@branch.example"])
    # Nothing is written for the rows that are as they were.
    assert whole.line.written() == {"POST /contacts/update_stages": 1}
    assert done.target.records == {"received": PEOPLE + 58, "unchanged": PEOPLE + 58}


@pytest.mark.full
def test_a_tap_that_is_killed_goes_on_where_state_was_and_then_reads_only_what_is_new(
    tables: PostgresServer, tap: Tap, tmp_path: Path
) -> None:
    with _pipeline(tables, tap, tmp_path, {}) as changes:
        changes.read_changes()
        killed = changes.run(most_records=60)
        assert killed.codes[0] != 0

        resumed = changes.run(killed.target.last_state)

        assert resumed.codes == [0, 0], resumed.log
        found = held(changes.line.apollo)
        assert {email: found.get(email) for email in due()} == due()
        assert len(found) == PEOPLE + 20

        later = "updated_at = '2026-04-01'"
        changes.warehouse.do(
            f"update crm.contacts set title = 'Chief', {later} where first_name = 'Zoë 9';"
            f"update crm.branch_contacts set first_name = 'Bob', {later} where number = 5;"
            "insert into crm.branch_contacts values"
            " ('R9', 5, 'b95@branch.example', 'Bo', '2026-04-02')"
        )
        done = changes.run(resumed.target.last_state)

        assert done.codes == [0, 0], done.log
        # A tap reads the row of its bookmark once more, one in each table.
        assert len(done.messages["RECORD"]) <= 5
        records = done.target.records
        assert (records["created"], records["updated"]) == (1, 2)
        after = held(changes.line.apollo)
        assert {email for email in after if after[email] != found.get(email)} == {
            "p9@example.org",
            "b5@branch.example",
            "b95@branch.example",
        }


@pytest.mark.full
def test_rows_that_the_tap_leaves_in_batch_files_arrive_like_others(
    kind: Kind, tables: PostgresServer, tap: Tap, tmp_path: Path
) -> None:
    if kind is not Kind.MELTANOLABS:
        pytest.skip("pipelinewise-tap-postgres sends no BATCH")
    files = {
        "encoding": {"format": "jsonl", "compression": "gzip"},
        "storage": {"root": f"file://{tmp_path}/files"},
        "batch_size": 100,
    }
    (tmp_path / "files").mkdir()
    batched = replace(tap, settings={**tap.settings, "batch_config": files})
    with _pipeline(tables, batched, tmp_path, {}) as pipeline:
        pipeline.read_changes()
        # This tap can't write bytes into its files.
        pipeline.leave_out("crm-contacts", "photo")

        done = pipeline.run()

        assert done.codes == [0, 0], done.log
        assert "RECORD" not in done.messages
        assert len(done.messages["BATCH"]) >= 4
        found = held(pipeline.line.apollo)
        assert {email: found.get(email) for email in due()} == due()
        assert done.target.records == {"received": PEOPLE + 20, "created": PEOPLE + 20}
        assert done.target.last_state == done.messages["STATE"][-1]["value"]
