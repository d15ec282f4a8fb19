"""A ledger that can't be used: one sentence, and an exit code that tells a scheduler what to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from target_apollo.ledger import Ledger, LinkOutcome, LinkStatus, Place
from target_apollo.sandbox import Sandbox
from tests.promises.conftest import Message, Run, contact, lines_of, schema

ROWS: list[Message] = [schema("contacts"), contact(1), contact(2)]
DOWN = "postgresql://ada:s3cret@127.0.0.1:1/crm"
PROGRAMS = Path(sys.executable).parent


@pytest.fixture
def damaged(tmp_path: Path, apollo: Sandbox) -> str:
    """URL of a ledger whose links can't be read."""
    file = tmp_path / "ledger.db"
    url = f"sqlite:///{file}"
    with Ledger.open(url) as ledger:
        outcomes = [
            LinkOutcome(str(n), LinkStatus.CREATED, f"{n:024x}", "h", match_hash=f"sha256:{n:064x}")
            for n in range(2_000)
        ]
        place = Place(apollo.store.team_id, "contact", "contacts")
        ledger.record_outcomes(place, "run-1", outcomes)
    content = bytearray(file.read_bytes())
    for at in range(4096, len(content), 4096):
        if b"sha256:" in content[at : at + 4096]:
            content[at : at + 4096] = b"\xa5" * 4096
    file.write_bytes(content)
    return url


def test_a_server_that_is_down_is_for_a_later_try(sync: Run) -> None:
    run = sync(ROWS, ledger_url=DOWN)
    assert run.exit_code == 1
    assert "Make sure that the server runs" in run.log
    assert "s3cret" not in run.log
    assert "defect" not in run.log


def test_a_damaged_file_is_for_a_person(sync: Run, damaged: str) -> None:
    run = sync(ROWS, ledger_url=damaged)
    assert run.exit_code == 2
    assert "database disk image is malformed" in run.log
    assert "Put a backup in its place" in run.log
    assert "defect" not in run.log


def said_by(
    command: Sequence[str], folder: Path, sent: bytes = b"", **variables: str
) -> tuple[int, str]:
    done = subprocess.run(
        [str(PROGRAMS / command[0]), *command[1:]],
        input=sent,
        capture_output=True,
        timeout=120,
        cwd=folder,
        env={**os.environ, **variables},
        check=False,
    )
    said = done.stderr.decode()
    assert "defect" not in said
    assert "Traceback" not in said
    assert "s3cret" not in said
    return done.returncode, said


@pytest.mark.full
@pytest.mark.parametrize("kind", ["down", "damaged"])
def test_the_tap_the_mapper_and_the_report_say_the_same(
    tmp_path: Path, damaged: str, kind: str
) -> None:
    url = DOWN if kind == "down" else damaged
    code = 1 if kind == "down" else 2
    advice = "the server runs" if kind == "down" else "Put a backup in its place"

    config = tmp_path / "tap.json"
    config.write_text(json.dumps({"ledger_url": url, "api_key": "k"}))
    catalog = tmp_path / "catalog.json"
    listed = subprocess.run(
        [str(PROGRAMS / "tap-apollo-sync"), "--config", str(config), "--discover"],
        capture_output=True,
        check=True,
    )
    streams = json.loads(listed.stdout)
    streams["streams"] = [s for s in streams["streams"] if s["stream"] == "apollo_sync_results"]
    catalog.write_text(json.dumps(streams))
    tap = ["tap-apollo-sync", "--config", str(config), "--catalog", str(catalog)]
    tapped, said = said_by(tap, tmp_path)
    assert (tapped, advice in said) == (code, True)

    mapper = tmp_path / "mapper.json"
    off = ("stage", "owner_mapped", "company_only", "not_customer", "icp_fit", "not_quarantined")
    rules: dict[str, object] = dict.fromkeys((*off, "valid_company", "settled"), False)
    rules["not_synced"] = {"ledger_url": url}
    mapper.write_text(json.dumps({"streams": ["contacts"], "rules": rules}))
    rows = lines_of([schema("contacts", {"properties": {"id": {}, "updated_at": {}}}), contact(1)])
    mapped, said = said_by(["map-apollo-leads", "--config", str(mapper)], tmp_path, rows)
    assert (mapped, advice in said) == (code, True), said

    if kind == "down":
        reported, said = said_by(["apollo-sync", "report", "--config", str(config)], tmp_path)
        assert (reported, advice in said) == (1, True)
