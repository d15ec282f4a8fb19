"""Ledgers, rejects, summaries, verdicts and tokens of earlier versions are read by this one."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from target_apollo.sandbox import Sandbox
from tests.helpers.tiers import sampled
from tests.promises.conftest import Message, TargetRun, read_rejects
from tests.promises.files_of_earlier_versions.make import (
    ACCOUNTS,
    CONTACTS,
    LEADS,
    contact,
    lines,
    row,
)

FILES = Path(__file__).with_name("files_of_earlier_versions")
LATEST = "version_4"
Run = Callable[..., TargetRun]

#: What the runs of each version left of the rows that they had in common.
OUTCOMES = {
    ("contacts", "1"): "created",
    ("contacts", "2"): "updated",
    ("contacts", "3"): "unchanged",
    ("contacts", "4"): "updated",
    ("contacts", "11"): "pending",
    ("contacts", "12"): "pending",
    ("contacts", "21"): "pending",
    ("contacts", "22"): "pending",
    ("contacts", "23"): "pending",
    ("accounts", "1"): "created",
    ("accounts", "2"): "unchanged",
}
CREATED_IN_VAIN = (11, 21, 22, 23)


@dataclass
class Earlier:
    """An Apollo and a working folder as runs of an earlier version left them."""

    files: Path
    apollo: Sandbox
    folder: Path
    ids: dict[str, str]
    """E-mail or domain -> Apollo id, of the records that those runs left."""

    def sent(self) -> list[str]:
        """Requests about records since, as method and path; none where nothing was asked."""
        return [
            f"{seen.method} {seen.path}"
            for seen in self.apollo.requests
            if re.search("/(contacts|accounts)", seen.path)
        ]

    def contacts(self) -> dict[str, Message]:
        return {str(one["email"]): one for one in self.apollo.store.contacts()}

    def versions(self, ledger: str = "ledger.db") -> list[tuple[int]]:
        with contextlib.closing(sqlite3.connect(self.folder / ledger)) as database:
            return database.execute("SELECT version FROM apollo_ledger_version").fetchall()


def left_by(version: str, apollo: Sandbox, folder: Path) -> Earlier:
    files = FILES / version
    shutil.copyfile(files / "ledger.db", folder / "ledger.db")
    shutil.copyfile(files / "rejects.jsonl", folder / "rejects.singer")
    shutil.copyfile(files / "apollo.db", folder / "apollo.db")
    apollo.store = type(apollo.store)(str(folder / "apollo.db"))
    apollo.oauth = type(apollo.oauth)(apollo.store)
    contacts = {str(one["email"]): str(one["id"]) for one in apollo.store.contacts()}
    accounts = {str(one["domain"]): str(one["id"]) for one in apollo.store.accounts()}
    return Earlier(files, apollo, folder, contacts | accounts)


@pytest.fixture(params=sampled([LATEST, "version_1", "version_2", "version_3"]))
def earlier(request: pytest.FixtureRequest, apollo: Sandbox, tmp_path: Path) -> Earlier:
    return left_by(request.param, apollo, tmp_path)


@pytest.fixture(params=sampled([LATEST, "version_3"]))
def latest(request: pytest.FixtureRequest, apollo: Sandbox, tmp_path: Path) -> Earlier:
    """One of the versions that left more files than a ledger and Apollo's side of it."""
    return left_by(request.param, apollo, tmp_path)


@pytest.fixture
def settings(apollo: Sandbox, target_config: Callable[..., Path]) -> Callable[..., Path]:
    def write(**more: Any) -> Path:
        return target_config(apollo, streams=STREAMS, **more)

    return write


STREAMS = {"leads": {"object": "contacts", "mode": "insert"}}


def call(name: str, *arguments: str | Path, given: bytes = b"", folder: Path) -> tuple[str, str]:
    """Output and log of an executable that must end well."""
    done = subprocess.run(
        [Path(sys.executable).with_name(name), *arguments],
        input=given,
        capture_output=True,
        timeout=60,
        cwd=folder,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode(), done.stderr.decode()


# --- the ledger, by the target


def test_rows_that_an_earlier_ledger_knows_cost_no_request(
    earlier: Earlier, run_target: Run
) -> None:
    done = run_target(
        [
            CONTACTS,
            contact(1, title="Engineer"),
            contact(2, title="Senior Engineer"),
            contact(3, title="Buyer"),
            contact(4, title="Head Clerk"),
            ACCOUNTS,
            row("accounts", id=1, domain="elm.example", name="Elm Ltd"),
            row("accounts", id=2, domain="oak.example", name="Oak Ltd"),
            LEADS,
            row("leads", email="known@birch.example", title="Founder"),
            row("leads", email="new@birch.example", title="Founder"),
            {"type": "STATE", "value": {"bookmarks": {"contacts": {"read": 6}}}},
        ],
        streams=STREAMS,
    )

    assert (done.exit_code, earlier.sent()) == (0, [])
    assert done.records == {"received": 8, "unchanged": 6, "existing": 2}
    assert done.last_state == json.loads((earlier.files / "state.json").read_text())


def known_rows() -> list[Message]:
    return [
        CONTACTS,
        contact(1, title="Engineer"),
        contact(2, title="Senior Engineer"),
        contact(3, title="Buyer"),
        contact(4, title="Head Clerk"),
        ACCOUNTS,
        row("accounts", id=1, domain="elm.example", name="Elm Ltd"),
        row("accounts", id=2, domain="oak.example", name="Oak Ltd"),
        LEADS,
        row("leads", email="known@birch.example", title="Founder"),
        row("leads", email="new@birch.example", title="Founder"),
    ]


def test_a_named_source_finds_its_rows_in_an_earlier_ledger_at_no_request(
    earlier: Earlier, sync: Run
) -> None:
    for _ in range(2):
        done = sync(known_rows(), source="tap-crm", streams=STREAMS)
        assert done.records == {"received": 8, "unchanged": 6, "existing": 2}
    assert earlier.sent() == []


def test_other_people_under_the_keys_of_an_earlier_ledger_take_over_nobody(
    earlier: Earlier, sync: Run
) -> None:
    before = earlier.contacts()
    others = [contact(n, email=f"p{n}@shop.example", title="Boss") for n in (1, 2, 3, 4)]

    assert sync([CONTACTS, *others], source="tap-shop").records == {"received": 4, "created": 4}

    after = earlier.contacts()
    assert {email: after[email] for email in before} == before
    assert sync(known_rows(), source="tap-crm", streams=STREAMS).records["unchanged"] == 6


def test_an_earlier_ledger_gets_the_version_of_a_new_one(earlier: Earlier, sync: Run) -> None:
    ledger = f"sqlite:///{earlier.folder}/new.db"
    assert sync([CONTACTS, contact(1, title="Engineer")], ledger_url=ledger).exit_code == 0

    assert sync([CONTACTS, contact(1, title="Engineer")]).exit_code == 0

    assert earlier.versions() == earlier.versions("new.db")


def test_changed_rows_go_straight_to_their_records(earlier: Earlier, sync: Run) -> None:
    done = sync(
        [
            CONTACTS,
            contact(1, title="Director", email="moved1@birch.example"),
            contact(3, title="Head Buyer"),
            ACCOUNTS,
            row("accounts", id=1, domain="elm.example", name="Elm and Sons"),
        ]
    )

    assert done.records == {"received": 3, "updated": 3}
    # Which of PUT and PATCH an account takes is tried; neither asks for the record first. Only of
    # the address that has changed it is asked who has it, where the ledger knows the former one.
    asked = {
        "POST /api/v1/contacts/search",
        f"GET /api/v1/contacts/{earlier.ids['p1@birch.example']}",
    }
    assert {request.replace("PUT ", "PATCH ") for request in earlier.sent()} - asked == {
        f"PATCH /api/v1/contacts/{earlier.ids['p1@birch.example']}",
        f"PATCH /api/v1/contacts/{earlier.ids['p3@birch.example']}",
        f"PATCH /api/v1/accounts/{earlier.ids['elm.example']}",
    }
    moved = earlier.contacts()["moved1@birch.example"]
    assert (moved["id"], moved["title"]) == (earlier.ids["p1@birch.example"], "Director")


def test_creates_that_were_cut_off_make_no_second_record(earlier: Earlier, sync: Run) -> None:
    before = set(earlier.contacts())

    done = sync([CONTACTS, *(contact(n, title="Sailor") for n in CREATED_IN_VAIN)])

    assert (done.exit_code, done.rejects) == (0, [])
    assert set(earlier.contacts()) == before
    again = sync([CONTACTS, *(contact(n, title="Sailor") for n in CREATED_IN_VAIN)])
    assert again.records == {"received": 4, "unchanged": 4}


# Version 1 does not note under which address a record was sent.
@pytest.mark.parametrize("earlier", sampled([LATEST, "version_2", "version_3"]), indirect=True)
def test_records_of_cut_off_creates_are_found_under_their_former_addresses(
    earlier: Earlier, sync: Run
) -> None:
    moved = [contact(n, email=f"moved{n}@birch.example", title="Sailor") for n in CREATED_IN_VAIN]

    done = sync([CONTACTS, *moved])

    assert done.records == {"received": 4, "updated": 4}
    found = earlier.contacts()
    for number in CREATED_IN_VAIN:
        former = earlier.ids[f"p{number}@birch.example"]
        assert found[f"moved{number}@birch.example"]["id"] == former
        assert f"p{number}@birch.example" not in found


def test_an_update_that_was_cut_off_is_sent_again_to_its_record(
    earlier: Earlier, sync: Run
) -> None:
    done = sync([CONTACTS, contact(12, title="Captain")])

    assert done.exit_code == 0
    assert earlier.sent() == [f"PATCH /api/v1/contacts/{earlier.ids['p12@birch.example']}"]
    assert earlier.contacts()["p12@birch.example"]["title"] == "Captain"


def test_a_create_for_which_the_quota_was_used_up_is_sent(latest: Earlier, sync: Run) -> None:
    assert "p32@birch.example" not in latest.ids

    done = sync([CONTACTS, *(contact(number, title="Baker") for number in (31, 32))])

    assert done.records == {"received": 2, "unchanged": 1, "created": 1}
    assert "p32@birch.example" in latest.contacts()


def test_a_row_that_was_deleted_stays_moved_at_no_request(latest: Earlier, sync: Run) -> None:
    gone = contact(8, _sdc_deleted_at="2026-11-20")

    done = sync([CONTACTS, gone], on_delete="list:Gone")

    assert (done.exit_code, latest.sent()) == (0, [])
    assert done.records == {"received": 1, "unchanged": 1}


# --- the ledger, by the tap and the mapper


def results(
    earlier: Earlier, config: Path, *arguments: str | Path
) -> dict[tuple[str, str], Message]:
    out, _ = call("tap-apollo-sync", "--config", config, *arguments, folder=earlier.folder)
    messages = [json.loads(line) for line in out.splitlines()]
    found = [
        message["record"]
        for message in messages
        if message["type"] == "RECORD" and message["stream"] == "apollo_sync_results"
    ]
    return {(one["stream"], one["source_key"]): one for one in found}


@pytest.mark.full
def test_the_tap_gives_the_results_of_earlier_runs(
    earlier: Earlier, settings: Callable[..., Path]
) -> None:
    found = results(earlier, settings())

    assert {key: found[key]["outcome"] for key in OUTCOMES} == OUTCOMES
    assert found["contacts", "1"]["apollo_id"] == earlier.ids["p1@birch.example"]
    leads = sorted(one["outcome"] for (stream, _), one in found.items() if stream == "leads")
    assert leads == ["created", "existing"]
    rejected = found.get(("contacts", "5"), {})
    # Version 1 keeps no link of a row that was never sent.
    assert rejected.get("reason") == (
        None if earlier.files.name == "version_1" else "malformed_email"
    )


@pytest.mark.full
def test_the_tap_goes_on_from_an_earlier_state(
    latest: Earlier, settings: Callable[..., Path]
) -> None:
    written = json.loads((latest.files / "results_state.json").read_text())
    since = written["bookmarks"]["apollo_sync_results"]["replication_key_value"]
    state = latest.folder / "state.json"
    state.write_text(json.dumps(written))
    every = results(latest, settings(), "--state", state)
    assert set(OUTCOMES) <= set(every)
    assert all(one["changed_at"] >= since for one in every.values())

    # The same bookmark behind all results.
    state.write_text(json.dumps(written).replace(since, since.replace("20", "21", 1)))
    assert results(latest, settings(), "--state", state) == {}


@pytest.mark.full
def test_the_mapper_holds_back_what_an_earlier_ledger_has_synced(earlier: Earlier) -> None:
    rules = dict.fromkeys(("stage", "owner_mapped", "valid_company"), False)
    others = ("company_only", "icp_fit", "not_customer", "not_quarantined", "settled", "unique")
    rules |= dict.fromkeys(others, False)
    config = earlier.folder / "mapper.json"
    not_synced = {"ledger_url": f"sqlite:///{earlier.folder}/ledger.db"}
    config.write_text(
        json.dumps({"streams": ["accounts"], "rules": {**rules, "not_synced": not_synced}})
    )
    names: Message = {"id": {}, "domain": {}, "updated_at": {}}
    changed = {1: "2020-01-01T00:00:00+00:00", 2: "2090-01-01T00:00:00+00:00"}
    rows = [row("accounts", id=n, updated_at=at) for n, at in changed.items()]
    head = {**ACCOUNTS, "schema": {"properties": names}, "bookmark_properties": ["updated_at"]}
    given = lines(head, *rows, row("accounts", id=3, updated_at=changed[1]))

    out, _ = call("map-apollo-leads", "--config", config, given=given, folder=earlier.folder)

    messages = [json.loads(line) for line in out.splitlines()]
    assert [one["record"]["id"] for one in messages if one["type"] == "RECORD"] == [2, 3]


# --- rejects, summaries, verdicts, tokens


@pytest.mark.full
def test_replay_sends_earlier_rejects(earlier: Earlier, settings: Callable[..., Path]) -> None:
    config = settings(validate_records=False)
    (first, *_) = [one["record"] for one in read_rejects(earlier.folder / "rejects.singer")]
    assert first["_reject"]["reason"] == "schema_mismatch"

    _, log = call("apollo-sync", "replay", "--config", config, folder=earlier.folder)

    titles = {email: one["title"] for email, one in earlier.contacts().items()}
    assert (titles["p6@birch.example"], titles["p7@birch.example"]) == ("6", "7")
    assert "2 rejected records are taken out" in log
    (left,) = read_rejects(earlier.folder / "rejects.singer")
    assert left["record"]["_reject"]["reason"] == "malformed_email"
    assert left["record"]["_reject"]["attempts"] == 1


@pytest.mark.full
def test_report_lists_earlier_runs(latest: Earlier, settings: Callable[..., Path]) -> None:
    folder = latest.folder / "runs"
    shutil.copytree(latest.files / "summaries", folder)
    summaries = {path.stem: json.loads(path.read_text()) for path in folder.iterdir()}
    runs = {name: summary["run_id"] for name, summary in summaries.items()}
    config = settings(ledger_url="", summary_path=str(folder / "next.json"))

    report = ("report", "--config", config, "--run", runs["rejected"])
    out, log = call("apollo-sync", *report, "--html", "page.html", folder=latest.folder)

    assert log == ""
    table, _, detail = out.partition("\n\n")
    cells = [re.split(r"  +", line) for line in table.splitlines()]
    # Beginning, run, end, seconds; then received, created, updated, unchanged, existing, …
    assert {run: (end, counts) for _, run, end, _, *counts in cells[1:]} == {
        runs["good"]: ("all well", ["10", "6", "1", "2", "1", "0", "0", "0", "7"]),
        runs["rejected"]: ("failed", ["4", "0", "1", "0", "0", "0", "3", "0", "4"]),
        runs["dry_run"]: (
            "all well (dry: nothing written)",
            ["2", "1", "1", "0", "0", "0", "0", "0", "6"],
        ),
        runs["quota_stopped"]: ("out of quota", ["2", "1", "0", "0", "0", "0", "0", "1", "4"]),
    }
    assert "75.0 % of the records were rejected" in detail
    # The lines between them tell the causes.
    assert re.search(r"schema_mismatch  contacts\n(     \S.*\n)*     keys 6, 7\n", detail), detail
    page = (latest.folder / "page.html").read_text()
    assert all(run in page for run in runs.values())


@pytest.mark.full
def test_explain_reads_earlier_verdicts(latest: Earlier) -> None:
    verdicts = latest.files / "verdicts.jsonl"
    said = [
        call("apollo-sync", "explain", key, "--verdicts", verdicts, folder=latest.folder)[0]
        for key in ("1", "2", "3")
    ]

    assert "Lead 1 of companies was passed on 2026-11-20 at 12:00 UTC." in said[0]
    assert "the stage 'Cold' is below 'Interested' (rule stage)" in said[1]
    assert "Lead 3 of companies was held on 2026-11-20" in said[2]


def test_an_earlier_token_file_is_good_without_a_new_token(latest: Earlier, sync: Run) -> None:
    path = latest.folder / "token.json"
    shutil.copyfile(latest.files / "token.json", path)

    done = sync(
        [CONTACTS, contact(1, title="Director")],
        api_key=None,
        client_id="sandbox-client",
        client_secret="sandbox-secret",
        # Of the sandbox that gave the tokens, which is gone: who asks there gets no answer.
        oauth_token_url="http://127.0.0.1:18700/api/v1/oauth/token",
        token_path=str(path),
    )

    assert done.records == {"received": 1, "updated": 1}
