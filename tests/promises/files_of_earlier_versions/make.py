"""Makes the files of this folder, by the project's executables alone; see README.md.

    python tests/promises/files_of_earlier_versions/make.py FOLDER [--code CHECKOUT]

FOLDER is made anew. With ``--code`` the target is that of another checkout, whose settings may be
fewer: then only the ledger and Apollo's side of it are made.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PORT = 18700
URL = f"http://127.0.0.1:{PORT}"
TEXT = {"type": ["string", "null"]}
CONTACTS = {
    "type": "SCHEMA",
    "stream": "contacts",
    "schema": {
        "properties": {
            "id": {"type": "integer"},
            "email": TEXT,
            "first_name": TEXT,
            "last_name": TEXT,
            "title": TEXT,
            "_sdc_deleted_at": TEXT,
        }
    },
    "key_properties": ["id"],
}
LEADS = {
    "type": "SCHEMA",
    "stream": "leads",
    "schema": {"properties": {"email": TEXT, "title": TEXT}},
    "key_properties": ["email"],
}
ACCOUNTS = {
    "type": "SCHEMA",
    "stream": "accounts",
    "schema": {"properties": {"id": {"type": "integer"}, "domain": TEXT, "name": TEXT}},
    "key_properties": ["id"],
}
CREATE = "POST /contacts/bulk_create"
COMPANY = {
    "record_type": "company",
    "is_customer": False,
    "icp_fit": "strong",
    "quarantine_status": "active",
    "user_id": 7,
    "updated_at": "2026-11-20T09:00:00+00:00",
}
MAPPER = {
    "streams": ["companies"],
    "rules": {
        "stage": {"order": ["Cold", "Interested", "Qualified"], "minimum": "Interested"},
        "owner_mapped": False,
        "not_synced": False,
    },
}
COMPANIES = [
    {"id": 1, "name": "Larch Ltd", "domain": "larch-invented.com", "stage": "Qualified"},
    {"id": 2, "name": "Maple Ltd", "domain": "maple-invented.com", "stage": "Cold"},
    {
        "id": 3,
        "name": "Rowan Ltd",
        "domain": "rowan-invented.com",
        "stage": "Qualified",
        "updated_at": "2026-11-20T11:59:00+00:00",
    },
]


def row(stream: str, **values: Any) -> dict[str, Any]:
    return {"type": "RECORD", "stream": stream, "record": values}


def contact(number: int, **values: Any) -> dict[str, Any]:
    return row("contacts", **{"id": number, "email": f"p{number}@birch.example", **values})


def lines(*messages: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


def ask(path: str, body: dict[str, Any] | None = None) -> Any:
    """Asks the sandbox's control surface; with a body, a POST."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def refresh_token() -> str:
    """A refresh token as a consent gives it."""
    app = {"client_id": "sandbox-client", "redirect_uri": "http://127.0.0.1:1/"}
    location = ask("/_sandbox/authorize", app)["location"]
    (code,) = urllib.parse.parse_qs(urllib.parse.urlsplit(location).query)["code"]
    form = {**app, "client_secret": "sandbox-secret", "grant_type": "authorization_code"}
    data = urllib.parse.urlencode({**form, "code": code}).encode()
    with urllib.request.urlopen(f"{URL}/api/v1/oauth/token", data, timeout=10) as answer:
        return str(json.load(answer)["refresh_token"])


@contextlib.contextmanager
def sandbox(store: Path) -> Iterator[None]:
    command = [*apollo_sync("sandbox"), "--strict", "--port", str(PORT), "--store", str(store)]
    # The access token is to be good for ten years.
    command += ["--option", "access_token_seconds=315360000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout
        assert process.stdout.readline(), "the sandbox does not start"
        yield
    finally:
        process.terminate()
        process.wait(60)


def apollo_sync(*arguments: str) -> list[str]:
    return [str(Path(sys.executable).with_name("apollo-sync")), *arguments]


class Maker:
    """Runs the target of one version over rows, in a folder of its own."""

    def __init__(self, folder: Path, work: Path, code: Path | None) -> None:
        self.folder = folder
        self._work = work
        self._environment = {**os.environ, **({} if code is None else {"PYTHONPATH": str(code)})}
        self._config = {
            "api_key": "sandbox",
            "api_url": f"{URL}/api/v1",
            "ledger_url": "sqlite:///ledger.db",
            "rejects_path": "rejects.singer",
            "streams": {"leads": {"object": "contacts", "mode": "insert"}},
            "state_interval_seconds": 0,
        }

    def start(self, **settings: Any) -> subprocess.Popen[bytes]:
        config = self._work / "config.json"
        config.write_text(json.dumps({**self._config, **settings}))
        return subprocess.Popen(
            [sys.executable, "-m", "target_apollo", "--config", str(config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=self._work,
            env=self._environment,
        )

    def run(self, name: str, exit_code: int, *messages: dict[str, Any], **settings: Any) -> bytes:
        """Runs the target to its end, and gives the STATE lines that it wrote."""
        process = self.start(summary_path=f"{name}.json", **settings)
        states, _ = process.communicate(lines(*messages), timeout=120)
        assert process.returncode == exit_code, f"{name} ended with {process.returncode}"
        return states

    def kill(self, contacts: int, *messages: dict[str, Any]) -> None:
        """Kills the target once Apollo has so many contacts, before their answer has come."""
        ask("/_sandbox/faults", {"endpoint": CREATE, "kind": "slow", "seconds": 10})
        process = self.start(summary_path="killed.json")
        assert process.stdin
        process.stdin.write(lines(*messages))
        process.stdin.close()
        end = time.monotonic() + 60
        while len(ask("/_sandbox/contacts")) < contacts:
            assert time.monotonic() < end, "the contacts are not made"
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def keep(self, name: str, *, under: str | None = None) -> None:
        target = self.folder / (under or name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self._work / name, target)


def first_runs(maker: Maker) -> None:
    """Links of every status but pending, in every version."""
    ask(
        "/_sandbox/seed",
        {
            "contacts": [
                {"email": "p3@birch.example", "title": "Buyer"},
                {"email": "p4@birch.example", "title": "Clerk"},
                {"email": "known@birch.example", "title": "Owner"},
            ],
            "accounts": [{"domain": "oak.example", "name": "Oak Ltd"}],
        },
    )
    states = maker.run(
        "good",
        0,
        CONTACTS,
        *(contact(number, title="Engineer") for number in (1, 2, 8, 12)),
        contact(3, title="Buyer"),
        contact(4, title="Head Clerk"),
        ACCOUNTS,
        row("accounts", id=1, domain="elm.example", name="Elm Ltd"),
        row("accounts", id=2, domain="oak.example", name="Oak Ltd"),
        LEADS,
        row("leads", email="known@birch.example", title="Founder"),
        row("leads", email="new@birch.example", title="Founder"),
        {"type": "STATE", "value": {"bookmarks": {"contacts": {"read": 6}}}},
    )
    (maker.folder / "state.json").write_bytes(states.splitlines()[-1] + b"\n")
    maker.run(
        "rejected",
        1,
        CONTACTS,
        contact(2, title="Senior Engineer"),
        contact(5, email="no address"),
        contact(6, title=6),
        contact(7, title=7),
    )


def cut_off_runs(maker: Maker) -> None:
    """Pending links: a create whose answer is lost, an update that is lost, a run that is killed.

    Nothing may take the lock of the stream after the last of them.
    """
    ask("/_sandbox/faults", {"endpoint": CREATE, "kind": "reset_after_write"})
    maker.run("lost_create", 1, CONTACTS, contact(11, title="Pilot"), max_retries=0)
    for endpoint in ("PATCH /contacts/{id}", "POST /contacts/bulk_update"):
        ask("/_sandbox/faults", {"endpoint": endpoint, "kind": "reset_before_write"})
    maker.run("lost_update", 1, CONTACTS, contact(12, title="Captain"), max_retries=0)
    ask("/_sandbox/reset", {"what": ["faults"]})
    there = len(ask("/_sandbox/contacts"))
    maker.kill(there + 3, CONTACTS, *(contact(n, title="Sailor") for n in (21, 22, 23)))


def other_runs(maker: Maker) -> None:
    """The runs that older versions can't make, and what is left by the other executables."""
    maker.run(
        "deleted", 0, CONTACTS, contact(8, _sdc_deleted_at="2026-11-20"), on_delete="list:Gone"
    )
    maker.run(
        "dry_run", 0, CONTACTS, contact(1, title="Boss"), contact(9), dry_run=True, sample_diffs=2
    )
    ask("/_sandbox/reset", {"what": ["quota"]})
    ask("/_sandbox/options", {"minute_limit": 1})
    rows = [contact(number, title="Baker") for number in (31, 32)]
    settings = {"batch_size": 1, "parallel_requests": 1, "max_wait_seconds": 0}
    maker.run("quota_stopped", 3, CONTACTS, *rows, **settings)
    ask("/_sandbox/options", {"minute_limit": None})
    ask("/_sandbox/reset", {"what": ["quota"]})
    maker.run(
        "with_oauth",
        0,
        CONTACTS,
        contact(3, title="Buyer"),
        ledger_url="",
        api_key=None,
        client_id="sandbox-client",
        client_secret="sandbox-secret",
        refresh_token=refresh_token(),
        oauth_token_url=f"{URL}/api/v1/oauth/token",
        token_path="token.json",
    )


def results_state(work: Path) -> bytes:
    """The last STATE of the tap over the ledger."""
    command = apollo_sync("results", "--config", str(work / "config.json"))
    done = subprocess.run(command, capture_output=True, timeout=60, cwd=work, check=True)
    states = [json.loads(line) for line in done.stdout.splitlines() if b'"STATE"' in line]
    return json.dumps(states[-1]["value"]).encode() + b"\n"


def verdicts(work: Path) -> None:
    """A lead that passes, one that is dropped and one that is held."""
    (work / "mapper.json").write_text(json.dumps({**MAPPER, "verdicts_path": "verdicts.jsonl"}))
    names: dict[str, Any] = {name: {} for name in (*COMPANY, *COMPANIES[0])}
    schema = {"type": "object", "properties": names}
    head = {"type": "SCHEMA", "stream": "companies", "schema": schema, "key_properties": ["id"]}
    subprocess.run(
        [Path(sys.executable).with_name("map-apollo-leads"), "--config", "mapper.json"],
        input=lines(
            {**head, "bookmark_properties": ["updated_at"]},
            *(row("companies", **{**COMPANY, **company}) for company in COMPANIES),
        ),
        stdout=subprocess.DEVNULL,
        cwd=work,
        env={**os.environ, "MAP_APOLLO_LEADS_NOW": "2026-11-20T12:00:00+00:00"},
        check=True,
    )


def without_the_machine(ledger: Path) -> None:
    """Takes the machine's name out of the lock that the killed run left, also from free pages."""
    with contextlib.closing(sqlite3.connect(ledger)) as database:
        database.execute("UPDATE apollo_locks SET host = 'machine.example', space = NULL")
        database.commit()
        database.execute("PRAGMA journal_mode = DELETE")
        database.execute("VACUUM")


def make(folder: Path, code: Path | None) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        maker = Maker(folder, work, code)
        with sandbox(work / "apollo.db"):
            first_runs(maker)
            if code is None:
                other_runs(maker)
                maker.run("last", 0, CONTACTS, contact(1, title="Engineer"))
                (folder / "results_state.json").write_bytes(results_state(work))
                verdicts(work)
                for name in ("good", "rejected", "dry_run", "quota_stopped"):
                    maker.keep(f"{name}.json", under=f"summaries/{name}.json")
                maker.keep("verdicts.jsonl")
                maker.keep("token.json")
            cut_off_runs(maker)
            maker.keep("rejects.singer", under="rejects.jsonl")
        without_the_machine(work / "ledger.db")
        maker.keep("ledger.db")
        maker.keep("apollo.db")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--code", type=Path, help="a checkout of another version")
    arguments = parser.parse_args()
    code: Path | None = arguments.code
    make(arguments.folder.resolve(), None if code is None else code.resolve())


if __name__ == "__main__":
    main()
