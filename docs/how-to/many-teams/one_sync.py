"""One sync: `meltano run` for one stream of one team, and how it ended."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
TEAMS: dict[str, list[str]] = yaml.safe_load((HERE / "teams.yml").read_text())
SECRETS = Path(os.environ.get("TEAM_SECRETS", "/etc/apollo-teams"))
FILES = Path(os.environ.get("TEAM_FILES", "/var/lib/apollo-teams"))


class Later(Exception):
    """A quota is used up, or another run writes this stream: it goes on after `at`."""

    def __init__(self, because: str, at: datetime) -> None:
        super().__init__(because)
        self.at = at


class PersonNeeded(Exception):
    """Too many rejects, a limit or an error; or wrong settings, a wrong key, a plan."""


class SyncFailed(Exception):
    """Meltano or the tap failed, or somebody stopped them: the next try may succeed."""


def sync(team: str, stream: str) -> dict[str, int]:
    """Run it to its end; return outcome -> number of records.

    Raises `Later`, `PersonNeeded` or `SyncFailed` for a run that did not end well.
    """
    files = FILES / team / stream
    files.mkdir(parents=True, exist_ok=True, mode=0o700)
    summary = files / "summary.json"
    summary.unlink(missing_ok=True)
    settings = {
        "MELTANO_SYS_DIR_ROOT": str(meltano_folder(files)),
        "TAP_POSTGRES__SELECT_FILTER": json.dumps([stream]),
        "TARGET_APOLLO_REJECTS_PATH": str(files / "rejects.singer"),
        "TARGET_APOLLO_SUMMARY_PATH": str(summary),
    }
    # A worker that dies takes Meltano with it. The ledger's lock keeps runs apart, so Meltano
    # need not wait for one that it believes to be running.
    command = ["setpriv", "--pdeathsig", "TERM", "meltano", "run", "--force"]
    command += ["--state-id-suffix", f"{team}-{stream}", "tap-postgres", "target-apollo"]
    environment = {**os.environ, **secrets_of(team), **settings}
    code = subprocess.run(  # noqa: S603 - no shell
        command, cwd=HERE, env=environment, stdin=subprocess.DEVNULL
    ).returncode
    counts = outcome(code, json.loads(summary.read_text()) if summary.exists() else {})
    if stream not in selected(files / "meltano" / "run" / "tap-postgres" / "tap.properties.json"):
        raise PersonNeeded(
            f"Nothing was read: the tap has no {stream}, or meltano.yml selects none."
        )
    return counts


def selected(catalog: Path) -> set[str]:
    """The streams that the tap was told to read; one that does not exist is no error to it."""
    streams = json.loads(catalog.read_text())["streams"] if catalog.exists() else []
    return {
        stream["tap_stream_id"]
        for stream in streams
        for part in stream["metadata"]
        if not part["breadcrumb"] and part["metadata"].get("selected")
    }


def meltano_folder(files: Path) -> Path:
    """A working folder for Meltano, since two runs at once in one would mix up their catalogs."""
    folder = files / "meltano"
    folder.mkdir(exist_ok=True, mode=0o700)
    for plugins in ("extractors", "loaders"):
        installed = HERE / ".meltano" / plugins
        if installed.exists() and not (folder / plugins).exists():
            (folder / plugins).symlink_to(installed)
    return folder


def outcome(code: int, summary: dict[str, Any]) -> dict[str, int]:
    """The counts of a run that ended well; an exception says what to do about any other."""
    because = summary.get("ended_because") or f"Meltano ended with {code}: see the lines above."
    if code == 0:
        return dict(summary.get("records", {}))
    if summary.get("run_again_after"):
        raise Later(because, datetime.fromisoformat(summary["run_again_after"]))
    if summary.get("exit_code") in (1, 2):
        # A try at once would leave rejected rows alone and end well, or write beyond a limit.
        raise PersonNeeded(because)
    raise SyncFailed(because)


def secrets_of(team: str) -> dict[str, str]:
    """The lines NAME=value of the team's file."""
    path = SECRETS / f"{team}.env"
    if not path.exists():
        raise PersonNeeded(f"The team {team} has no file {path}.")
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise PersonNeeded(f"Others may read {path}: chmod 600 {path}")
    lines = path.read_text().splitlines()
    found = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    # Else the worker's own would be taken, and one team's rows might go to another's Apollo.
    for own in ("APOLLO_API_KEY", "TAP_POSTGRES_"):
        if not any(name.startswith(own) for name in found):
            raise PersonNeeded(f"{path} has no line that begins with {own}.")
    return found
