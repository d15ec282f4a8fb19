from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from unittest.mock import Mock

import psycopg
import pytest

from target_apollo.ledger import (
    AnotherRunActive,
    Intent,
    Ledger,
    LedgerError,
    LedgerUnusable,
    Link,
    LinkOutcome,
    LinkStatus,
    Place,
    match_hash,
    source_key,
    upgrade,
)
from target_apollo.ledger.tables import HAS_RECORD, MATCH_START, VERSION
from tests.helpers.former_ledgers import make_version_9

TEAM = "5f5e100c0d4ae7000181a2b3"
ID_1 = "6095a710bd01d100a506d4ae"
NOON = datetime(2026, 11, 1, 12, tzinfo=timezone.utc)
Sql = Callable[[str], list[tuple[object, ...]]]


@pytest.fixture
def version_0(run_sql: Sql) -> None:
    """A ledger from before the version table, without runs, locks and the column `error`."""
    run_sql(
        "CREATE TABLE apollo_links (connection TEXT NOT NULL, object TEXT NOT NULL, "
        "stream TEXT NOT NULL, source_key TEXT NOT NULL, apollo_id TEXT, payload_hash TEXT, "
        "status TEXT NOT NULL, first_synced_at TIMESTAMP, last_synced_at TIMESTAMP, run_id TEXT, "
        "PRIMARY KEY (stream, source_key, connection, object))"
    )
    run_sql(
        "INSERT INTO apollo_links (connection, object, stream, source_key, apollo_id, status) "
        f"VALUES ('{TEAM}', 'contact', 'contacts', '1', '{ID_1}', 'created')"
    )


def test_a_new_ledger_has_the_current_version(ledger: Ledger, run_sql: Sql) -> None:
    assert run_sql("SELECT version FROM apollo_ledger_version") == [(VERSION,)]


@pytest.mark.usefixtures("version_0")
def test_an_older_ledger_is_upgraded_and_keeps_its_links(ledger_url: str, run_sql: Sql) -> None:
    with Ledger.open(ledger_url) as ledger:
        assert ledger.links(Place(TEAM, "contact", "contacts"), ["1"]) == {
            "1": Link(
                "1", ID_1, None, LinkStatus.CREATED, None, None, None, None, stream="contacts"
            )
        }
        outcome = LinkOutcome("1", LinkStatus.ERROR, error="unknown stage")
        ledger.record_outcomes(Place(TEAM, "contact", "contacts"), "run-1", [outcome])
        assert ledger.links(Place(TEAM, "contact", "contacts"), ["1"])["1"].error == "unknown stage"
        ledger.lock(TEAM, "contacts", "run-1")
        assert ledger.runs(1) == []
    assert run_sql("SELECT version FROM apollo_ledger_version") == [(VERSION,)]


@pytest.fixture
def version_3(run_sql: Sql, version_0: None) -> None:
    """A ledger with the creates under way that a killed run left; key 1 has got a link since."""
    run_sql("CREATE TABLE apollo_ledger_version (version INTEGER PRIMARY KEY)")
    run_sql("INSERT INTO apollo_ledger_version (version) VALUES (3)")
    run_sql(
        "CREATE TABLE apollo_creations (stream TEXT, connection TEXT, object TEXT, run_id TEXT, "
        "number INTEGER, intents TEXT NOT NULL, changed_at TIMESTAMP NOT NULL, "
        "PRIMARY KEY (stream, connection, object, run_id, number))"
    )
    for number, intents in enumerate(('[["1", null], ["2", "sha256:22"]]', '[["3", null]]')):
        run_sql(
            "INSERT INTO apollo_creations VALUES "
            f"('contacts', '{TEAM}', 'contact', 'killed', {number}, '{intents}', "
            "'2026-11-01 12:00:00')"
        )


@pytest.mark.usefixtures("version_3")
def test_creates_that_a_killed_run_left_become_pending_links(ledger_url: str, run_sql: Sql) -> None:
    with Ledger.open(ledger_url) as ledger:
        found = ledger.links(Place(TEAM, "contact", "contacts"), ["1", "2", "3"])
    assert {key: link.status for key, link in found.items()} == {
        "1": LinkStatus.CREATED, "2": LinkStatus.PENDING, "3": LinkStatus.PENDING,
    }  # fmt: skip
    assert (found["2"].run_id, found["2"].match_hash) == ("killed", "sha256:22")
    with pytest.raises(Exception, match="apollo_creations"):
        run_sql("SELECT * FROM apollo_creations")


def test_a_ledger_of_version_5_keeps_its_links_and_gets_a_place_for_a_second_address(
    ledger_url: str, run_sql: Sql
) -> None:
    place = Place(TEAM, "contact", "contacts")
    outcome = LinkOutcome("1", LinkStatus.CREATED, ID_1, "hash", match_hash="sha256:1")
    with Ledger.open(ledger_url) as ledger:
        ledger.record_outcomes(place, "run-1", [outcome])
        before = ledger.links(place, ["1"])
    make_version_9(run_sql)
    run_sql("ALTER TABLE apollo_links DROP COLUMN row_hash")
    run_sql("UPDATE apollo_ledger_version SET version = 5")

    with Ledger.open(ledger_url) as ledger:
        assert ledger.links(place, ["1"]) == before
    assert run_sql("SELECT row_hash FROM apollo_links") == [(None,)]


@pytest.mark.usefixtures("version_0")
def test_links_of_an_older_ledger_have_no_source_and_leave_room_for_others(
    ledger_url: str, run_sql: Sql
) -> None:
    with Ledger.open(ledger_url) as ledger:
        outcome = LinkOutcome("1", LinkStatus.CREATED, ID_1[::-1], "hash")
        ledger.record_outcomes(Place(TEAM, "contact", "contacts", "crm"), "run-1", [outcome])
    found = run_sql("SELECT source, apollo_id FROM apollo_links ORDER BY source")
    assert found == [("", ID_1), ("crm", ID_1[::-1])]


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("version_0")
def test_an_upgraded_ledger_has_the_tables_of_a_new_one(
    ledger_url: str, run_sql: Sql, tmp_path: Path
) -> None:
    new_url = f"sqlite:///{tmp_path}/new.db"
    for url in (ledger_url, new_url):
        Ledger.open(url).close()
    objects = "SELECT type, name, tbl_name FROM sqlite_master ORDER BY type, name"
    with closing(sqlite3.connect(tmp_path / "new.db")) as new:
        assert run_sql(objects) == new.execute(objects).fetchall()
        keys = "SELECT name, pk FROM pragma_table_info('apollo_row_links') WHERE pk > 0 ORDER BY pk"
        assert run_sql(keys) == new.execute(keys).fetchall()


@pytest.mark.parametrize(
    ("condition", "index"),
    [
        ("apollo_id IN (CAST('1' AS {blob}))", "apollo_row_links_by_apollo_id"),
        (
            f"{MATCH_START} IN (CAST('1' AS {{blob}})) AND {HAS_RECORD}",
            "apollo_row_links_by_match",
        ),
        (
            "(changed_at, scope, source_key) > (0, 0, CAST('1' AS {blob})) "
            "ORDER BY changed_at, scope, source_key",
            "apollo_row_links_by_change",
        ),
    ],
    ids=["apollo_id", "match_hash", "changed_at"],
)
@pytest.mark.usefixtures("ledger")
def test_links_are_found_by_their_apollo_id_match_hash_or_change_without_a_look_at_all(
    ledger_url: str, run_sql: Sql, condition: str, index: str
) -> None:
    is_sqlite = ledger_url.startswith("sqlite")
    question = "SELECT status FROM apollo_row_links WHERE " + condition.format(
        blob="BLOB" if is_sqlite else "BYTEA"
    )
    if is_sqlite:
        plan = run_sql(f"EXPLAIN QUERY PLAN {question}")
    else:
        with psycopg.connect(ledger_url) as database:
            # An empty table is read whole where that may be done.
            database.execute("SET enable_seqscan = off")
            plan = database.execute(f"EXPLAIN {question}").fetchall()
    assert index in str(plan)


@pytest.mark.usefixtures("version_0")
def test_an_older_ledger_can_be_read_after_its_upgrade(ledger_url: str) -> None:
    reader = Ledger.open_existing(ledger_url)
    assert reader is not None
    with reader:
        assert reader.links(Place(TEAM, "contact", "contacts"), ["1"])["1"].apollo_id == ID_1


def test_a_ledger_of_a_later_release_is_refused_and_left_alone(
    ledger: Ledger, ledger_url: str, run_sql: Sql
) -> None:
    run_sql(f"UPDATE apollo_ledger_version SET version = {VERSION + 1}")
    for opening in (Ledger.open, Ledger.open_existing):
        with pytest.raises(LedgerError, match=f"has version {VERSION + 1}.*up to {VERSION}"):
            opening(ledger_url)
    assert run_sql("SELECT version FROM apollo_ledger_version") == [(VERSION + 1,)]


def outcomes_of_all_kinds() -> list[LinkOutcome]:
    confirmed = [
        LinkOutcome(
            key,
            status,
            ID_1,
            None if status is LinkStatus.EXISTING else f"{number:032x}",
            match_hash=match_hash(key),
            synced_at=NOON + timedelta(microseconds=number),
            apollo_updated_at="2026-11-01T12:00:00.123Z",
            row_hash=match_hash("other") if number % 2 else None,
            single_hashes="mobile_phone=0123;website_url=4567" if number == 2 else None,
        )
        for number, (key, status) in enumerate(
            {
                source_key([42]): LinkStatus.CREATED,
                source_key(["ada@example.com"]): LinkStatus.UPDATED,
                source_key(["550e8400-e29b-41d4-a716-446655440000"]): LinkStatus.UNCHANGED,
                source_key(["Zoë", 7]): LinkStatus.EXISTING,
            }.items()
        )
    ]
    return [
        *confirmed,
        LinkOutcome("5", LinkStatus.ERROR, payload_hash="refused:2026-11-01", error="no name"),
        LinkOutcome("6", LinkStatus.GONE, ID_1[::-1], "deleted:6095a710bd01d100a506d4ae"),
        LinkOutcome("7", LinkStatus.CREATED, "an id that is none", "hash", match_hash="sha256:22"),
    ]


def fill_places(ledger: Ledger) -> dict[Place, list[Link]]:
    """Writes all kinds of links to three places; gives what is read back."""
    places = [
        Place(TEAM, "contact", "contacts", "tap-crm"),
        Place(TEAM, "account", "contacts"),
        Place("unknown-0123456789abcdef", "list", "lists"),
    ]
    for place in places:
        ledger.record_outcomes(place, "0a1b2c3d4e5f", outcomes_of_all_kinds())
        # The first time of a sync is another than the last.
        ledger.record_outcomes(place, "run-2", outcomes_of_all_kinds()[:1])
        ledger.record_intents(place, "run-2", [Intent("8", ID_1), Intent("9", match_hash="x")])
    return {place: list(ledger.links_of_stream(place)) for place in places}


def test_a_ledger_of_version_9_keeps_all_that_its_links_say(
    ledger: Ledger, ledger_url: str, run_sql: Sql
) -> None:
    before = fill_places(ledger)
    ledger.close()
    make_version_9(run_sql)

    with Ledger.open(ledger_url) as upgraded:
        after = {place: list(upgraded.links_of_stream(place)) for place in before}

    assert sum(map(len, before.values())) == 27
    assert after == before


def test_the_links_can_be_read_as_texts(ledger: Ledger, run_sql: Sql) -> None:
    (place, *_), (links, *_) = zip(*fill_places(ledger).items(), strict=True)
    found = run_sql(
        "SELECT source_key, apollo_id, payload_hash, status, error, run_id, match_hash, "
        "apollo_updated_at, row_hash, single_hashes FROM apollo_links "
        f"WHERE connection = '{place.connection}' AND object = '{place.object}' "
        f"AND stream = '{place.stream}' AND source = '{place.source}'"
    )
    assert sorted(map(repr, found)) == sorted(
        repr(
            (
                link.source_key, link.apollo_id, link.payload_hash, link.status.value, link.error,
                link.run_id, link.match_hash, link.apollo_updated_at, link.row_hash,
                link.single_hashes,
            )
        )
        for link in links
    )  # fmt: skip


class KilledError(Exception):
    """The process was killed."""


def test_an_upgrade_that_is_killed_in_the_middle_leaves_the_older_ledger_and_begins_anew(
    ledger: Ledger, ledger_url: str, run_sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fill_places(ledger)
    ledger.close()
    make_version_9(run_sql)
    monkeypatch.setattr(upgrade, "_PAGE", 5)
    monkeypatch.setattr(upgrade, "create_view", Mock(side_effect=KilledError))
    with pytest.raises(KilledError):
        Ledger.open(ledger_url)
    assert run_sql("SELECT version FROM apollo_ledger_version") == [(9,)]
    assert run_sql("SELECT count(*) FROM apollo_links") == [(27,)]

    monkeypatch.undo()
    with Ledger.open(ledger_url) as upgraded:
        assert {place: list(upgraded.links_of_stream(place)) for place in before} == before


def test_a_view_of_the_user_on_the_former_table_is_named_before_anything_changes(
    postgresql_url: str,
) -> None:
    Ledger.open(postgresql_url).close()
    with psycopg.connect(postgresql_url, autocommit=True) as server:
        make_version_9(lambda statement: server.execute(statement.encode()))
        server.execute("CREATE VIEW mine AS SELECT source_key FROM apollo_links")
    with pytest.raises(LedgerUnusable, match="Drop what of your own depends on the table"):
        Ledger.open(postgresql_url)
    with psycopg.connect(postgresql_url, autocommit=True) as server:
        server.execute("DROP VIEW mine")
    Ledger.open(postgresql_url).close()
    with psycopg.connect(postgresql_url, autocommit=True) as server:
        server.execute("CREATE VIEW mine AS SELECT source_key FROM apollo_links")


def test_a_ledger_with_a_run_of_an_earlier_release_is_upgraded_once_that_has_ended(
    ledger: Ledger, ledger_url: str, run_sql: Sql
) -> None:
    fill_places(ledger)
    lock = ledger.lock(TEAM, "contacts", "run-1")
    make_version_9(run_sql)
    for opening in (Ledger.open, Ledger.open_existing):
        with pytest.raises(AnotherRunActive, match="run-1"):
            opening(ledger_url)
    assert run_sql("SELECT version FROM apollo_ledger_version") == [(9,)]

    lock.release()
    Ledger.open(ledger_url).close()


def test_a_ledger_of_version_7_gets_a_place_for_the_windows_that_runs_share(
    ledger: Ledger, ledger_url: str, run_sql: Sql
) -> None:
    ledger.close()
    run_sql("DROP TABLE apollo_windows")
    run_sql("UPDATE apollo_ledger_version SET version = 7")
    with Ledger.open(ledger_url) as upgraded:
        assert upgraded.shared_windows(TEAM).write("one", "text", 0)
    assert run_sql("SELECT version FROM apollo_ledger_version") == [(VERSION,)]


def test_a_file_that_a_release_of_version_9_wrote_keeps_all_its_tables(sqlite_url: str) -> None:
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    file.parent.mkdir()
    with closing(sqlite3.connect(file)) as written:
        written.executescript(Path(__file__).with_name("version_9.sql").read_text())

    place = Place(TEAM, "contact", "contacts", "tap-crm")
    with Ledger.open(sqlite_url) as ledger:
        links = ledger.links(place, ["1", source_key(["a@b.c"]), "8", "9", "e", "g"])
        (pending, *_) = ledger.pending_fields(TEAM, 10)
        assert ledger.company_ids(TEAM, ["sha256:1"]) == {"sha256:1": ID_1}
        assert ledger.routes(TEAM) == {"account": "PATCH"}
        assert ledger.walk(TEAM) is not None
        assert [run.run_id for run in ledger.runs(2)] == ["0a1b2c3d4e5f"]
        assert ledger.shared_windows(TEAM).read("e") is not None

    assert links["1"] == Link(
        "1",
        ID_1,
        "0" * 32,
        LinkStatus.UNCHANGED,
        datetime(2026, 11, 1, tzinfo=timezone.utc),
        datetime(2026, 11, 3, tzinfo=timezone.utc),
        None,
        "0a1b2c3d4e5f",
        match_hash("b"),
        "2026-11-01T12:00:00.123Z",
        "contacts",
        "tap-crm",
    )
    assert {key: link.status.value for key, link in links.items()} == {
        "1": "unchanged", source_key(["a@b.c"]): "updated", "8": "pending", "9": "pending",
        "e": "error", "g": "gone",
    }  # fmt: skip
    assert links["g"].is_deleted
    assert links["9"].match_hash == match_hash("x")
    assert pending.body == {"mobile": "1"}
