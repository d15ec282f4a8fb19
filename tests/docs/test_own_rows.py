"""The page on own rows as a stranger follows it: a copy of the tree, pipx, Meltano, PostgreSQL."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from target_apollo.demo.meltano import ROOT
from tests.helpers.databases import own_database
from tests.helpers.how_tos import HOW_TOS, USUAL_SANDBOX, Block, blocks_of, lacks
from tests.promises.test_installers import new_environment, uv_folder

PAGE = HOW_TOS / "own-rows.md"
BLOCKS = list(blocks_of(PAGE.read_text(encoding="utf-8")))
STEPS = [block for block in BLOCKS if block.is_a("run") or block.option("file")]
MOST_STEPS = 6
PLACE = "postgresql://user:password@host:5432/database"
TABLE = """
create schema sales;
create table sales.people (
  person_no serial primary key, mail text, given_name text, "Last Name" text, job_role text,
  shoe_size numeric, seen_at timestamptz default now()
);
insert into sales.people (mail, given_name, "Last Name", job_role)
select 'p' || i || '@firm' || i || '.example', 'Ann' || i, 'Lee', 'CEO'
from generate_series(1, 25) i
"""


class Stranger:
    """Somebody with an empty home, pipx and uv, who types what the page says."""

    def __init__(self, home: Path, database_url: str) -> None:
        self.home = home
        self._folder = home
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.sandbox = USUAL_SANDBOX.replace("8700", str(self._port))
        self._place = database_url
        self._others: list[subprocess.Popen[bytes]] = []
        foreign = ("PYTHON", "VIRTUAL_ENV", "TARGET_APOLLO_", "TAP_", "MELTANO_", "PIPX_", "UV_")
        kept = {k: v for k, v in os.environ.items() if not k.startswith((*foreign, "XDG_"))}
        places = [home / ".local" / "bin", new_environment(home / "pipx"), home / "uv"]
        path = os.pathsep.join([*map(str, places), kept["PATH"]])
        # Where uv is on the PATH, pipx installs by it.
        (home / "uv").mkdir()
        (home / "uv" / "uv").symlink_to(uv_folder() / "uv")
        self._environment = {**kept, "HOME": str(home), "PATH": path, "NO_COLOR": "1"}
        self.type("pip install --quiet pipx")

    def type(self, line: str) -> str:
        """Types a line in the terminal, where a change of the folder stays."""
        here = self.home / "here"
        done = subprocess.run(
            ["bash", "-c", f"set -e\n{line}\npwd > {shlex.quote(str(here))}"],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=400,
            check=False,
        )
        if "No matching distribution" in done.stdout or "Failed to fetch" in done.stdout:
            pytest.skip("no package index can be reached")
        assert done.returncode == 0, done.stdout
        self._folder = Path(here.read_text(encoding="utf-8").strip())
        return done.stdout

    def follow(self, step: Block) -> str:
        text = step.text.replace(PLACE, self._place).replace(USUAL_SANDBOX, self.sandbox)
        if step.option("file"):
            (self._folder / step.option("file")).write_text(text, encoding="utf-8")
        elif step.option("terminal"):
            self._start(f"{text.strip()} --port {self._port}")
        else:
            return self.type(text)
        return ""

    def _start(self, line: str) -> None:
        other = subprocess.Popen(
            shlex.split(line),
            env=self._environment,
            executable=shutil.which(shlex.split(line)[0], path=self._environment["PATH"]),
            stdout=subprocess.PIPE,
            cwd=self.home,
        )
        self._others.append(other)
        assert other.stdout is not None
        assert b"listening" in other.stdout.readline()

    def shown(self, address: str) -> str:
        with urllib.request.urlopen(address, timeout=30) as answer:
            return str(answer.read().decode())

    def end(self) -> None:
        for other in self._others:
            other.terminate()
            other.wait(30)
            if other.stdout is not None:
                other.stdout.close()


def copy_of_the_tree(folder: Path) -> None:
    """What a clone would have, changes that are not committed yet included."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def test_it_takes_at_most_six_steps_of_one_line_each() -> None:
    assert len(STEPS) <= MOST_STEPS
    commands = [step.text.strip() for step in STEPS if step.language == "bash"]
    assert not [command for command in commands if re.search(r"\n|;|\|", command)]
    assert sum(command.count("&&") for command in commands) <= 1


def test_the_reader_fills_in_one_line_and_names_the_table_once() -> None:
    steps = "".join(step.text for step in STEPS)
    assert steps.count(PLACE) == steps.count("sales.people") == 1


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[Stranger]:
    copy_of_the_tree(tmp_path / "target-apollo")
    with own_database() as database:
        with psycopg.connect(database.url) as connection:
            connection.execute(TABLE)
        someone = Stranger(tmp_path, database.url)
        try:
            yield someone
        finally:
            someone.end()


@pytest.mark.full
@pytest.mark.timeout(900)
def test_a_strangers_table_is_in_the_sandbox_after_the_page(stranger: Stranger) -> None:
    began = time.monotonic()
    said = [stranger.follow(step) for step in STEPS]
    # With `pytest -s`: how long the reader of the page waits.
    sys.stdout.write(f"The page took {time.monotonic() - began:.0f} s.\n")
    (wanted,) = (block.text for block in BLOCKS if block.is_a("output"))
    assert lacks(said[-1], wanted) == "", said[-1]
    assert "created 25, " in said[-1]
    page = stranger.shown(f"{stranger.sandbox}/?show=contacts&q=ann7")
    assert "p7@firm7.example" in page
    assert "Lee" in page
