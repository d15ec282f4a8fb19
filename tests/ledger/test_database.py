from __future__ import annotations

import logging
import os
import socket
import stat
import sys
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from target_apollo.ledger import Ledger, LedgerError, LinkOutcome, LinkStatus, Place
from target_apollo.ledger.database import Address
from target_apollo.system.installation import how_to_install

TEAM = "5f5e100c0d4ae7000181a2b3"
CREATED = LinkOutcome("1", LinkStatus.CREATED, "6095a710bd01d100a506d4ae")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def refusal(ledger_url: str) -> str:
    with pytest.raises(LedgerError) as refused:
        Ledger.open(ledger_url)
    assert "ledger_url" in str(refused.value)
    return str(refused.value)


def test_the_file_and_what_sqlite_puts_beside_it_are_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with Ledger.open(f"sqlite:///{tmp_path / 'a' / 'b' / 'ledger.db'}") as ledger:
            ledger.record_outcomes(Place(TEAM, "contact", "contacts"), "run-1", [CREATED])
            files = sorted((tmp_path / "a" / "b").iterdir())
            assert [file.name for file in files] == ["ledger.db", "ledger.db-shm", "ledger.db-wal"]
            assert {mode(file) for file in files} == {0o600}
    finally:
        os.umask(before)
    assert mode(tmp_path / "a") == mode(tmp_path / "a" / "b") == 0o700


def test_a_folder_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}").close()
    assert mode(tmp_path) == 0o755


def test_a_file_that_others_could_read_is_made_private(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    Ledger.open(f"sqlite:///{file}").close()
    file.chmod(0o644)
    Ledger.open(f"sqlite:///{file}").close()
    assert mode(file) == 0o600


def test_a_relative_path_counts_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Ledger.open("sqlite:///.target-apollo/ledger.db").close()
    assert (tmp_path / ".target-apollo" / "ledger.db").is_file()


def test_a_path_with_signs_that_mean_something_in_a_url_is_taken_as_it_is(tmp_path: Path) -> None:
    Ledger.open(f"sqlite:///{tmp_path / 'a # b % c' / 'ledger.db'}").close()
    assert (tmp_path / "a # b % c" / "ledger.db").is_file()


def test_a_commit_in_sqlite_is_on_disk_when_it_returns(sqlite_url: str) -> None:
    address = Address.of(sqlite_url)
    address.make_private_file()
    with address.engine().connect() as database:
        assert database.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        assert database.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


# Reading only


def test_a_ledger_that_is_not_there_is_none_and_is_not_made(tmp_path: Path) -> None:
    assert Ledger.open_existing(f"sqlite:///{tmp_path / 'state' / 'ledger.db'}") is None
    assert list(tmp_path.iterdir()) == []


def test_a_database_without_the_ledgers_tables_is_no_ledger_yet(postgresql_url: str) -> None:
    assert Ledger.open_existing(postgresql_url) is None


def test_a_reader_sees_what_is_committed_while_a_run_writes(
    ledger: Ledger, ledger_url: str
) -> None:
    reader = Ledger.open_existing(ledger_url)
    assert reader is not None
    with reader:
        assert reader.links(Place(TEAM, "contact", "contacts"), ["1"]) == {}
        ledger.record_outcomes(Place(TEAM, "contact", "contacts"), "run-1", [CREATED])
        assert list(reader.links(Place(TEAM, "contact", "contacts"), ["1"])) == ["1"]


def test_a_reader_opens_a_ledger_that_its_writer_has_closed(ledger_url: str) -> None:
    with Ledger.open(ledger_url) as writer:
        writer.record_outcomes(Place(TEAM, "contact", "contacts"), "run-1", [CREATED])
    reader = Ledger.open_existing(ledger_url)
    assert reader is not None
    with reader:
        assert list(reader.synced_at("contacts", ["1"])) == ["1"]


def test_a_reader_cannot_write(ledger: Ledger, ledger_url: str) -> None:
    reader = Ledger.open_existing(ledger_url)
    assert reader is not None
    with reader, pytest.raises(LedgerError, match=r"read.?only"):
        reader.record_outcomes(Place(TEAM, "contact", "contacts"), "run-1", [CREATED])


# Settings that can't be


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("ledger.db", "no database URL"),
        ("postgresql://user:s3cret@host:port/db", "no database URL"),
        ("mysql://user:s3cret@host/db", "'mysql'; a ledger is kept in SQLite"),
        ("postgresql+psycopg2://user:s3cret@host/db", "'postgresql\\+psycopg2'"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("sqlite:///file:ledger.db?uri=true", "options"),
        ("sqlite:///ledger.db?timeout=5", "options"),
        ("postgresql://user:s3cr@et@host/db", "write it as %40"),
    ],
)
def test_a_url_that_can_be_no_ledger_is_refused_with_a_sentence(url: str, sentence: str) -> None:
    with pytest.raises(LedgerError, match=sentence) as refused:
        Ledger.open(url)
    assert "ledger_url" in str(refused.value)
    assert "s3cr" not in str(refused.value)
    assert "et@" not in str(refused.value)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("Not a database at all, but longer than a hundred bytes. " * 10)
    assert f"{file} (setting ledger_url) failed: file is not a database" in refusal(
        f"sqlite:///{file}"
    )


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "Not a directory" in refusal(f"sqlite:///{tmp_path / 'file' / 'ledger.db'}")


def test_a_server_that_does_not_answer_is_named_without_its_password() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        sentence = refusal(f"postgresql://ada:s3cret@127.0.0.1:{port}/crm")
    assert "'crm' on 127.0.0.1" in sentence
    assert "refused" in sentence
    assert "s3cret" not in sentence


def test_a_wrong_password_is_shown_nowhere(
    postgresql_server: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = make_url(postgresql_server).set(username="no_such_user", password="s3cret")
    sentence = refusal(wrong.render_as_string(hide_password=False))
    assert "no_such_user" in sentence
    assert "s3cret" not in sentence + caplog.text


def test_the_passwords_of_a_url_are_blanked_out_of_a_drivers_message() -> None:
    address = Address.of("postgresql://ada:s3cret@host/crm?sslpassword=t0p&password=other")
    assert address.without_secrets("s3cret, t0p, other, ada") == "***, ***, ***, ada"


def test_a_short_url_and_a_full_one_mean_the_same_driver() -> None:
    names = {
        Address.of(f"{scheme}://user@host/db").url.drivername
        for scheme in ("postgres", "postgresql", "postgresql+psycopg")
    }
    assert names == {"postgresql+psycopg"}


def test_a_missing_driver_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert how_to_install("postgres") in refusal("postgresql://user@host/db")
