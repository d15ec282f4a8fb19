"""The wheel, installed by each program that users have for it, into a home of its own.

What a message says of an extra that is missing is then done as it is written.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pytest

from target_apollo.demo.meltano import executable
from target_apollo.sandbox import Sandbox
from tests.promises.conftest import lines_of, record, schema, state

pytestmark = pytest.mark.full

PROGRAMS = ["apollo-sync", "map-apollo-leads", "tap-apollo-sync", "target-apollo"]
WAYS = ["pip", "pipx", "uv tool", "uvx"]
#: The shell of a reader; installing takes as long as the package index does.
_LONGEST_SECONDS = 400
_UNREACHABLE = ("No matching distribution", "Failed to fetch", "error sending request")


@dataclass(frozen=True)
class Home:
    """The home of a user with the package, by one of `WAYS`.

    Attributes:
        before: The words before a program's name; with `uvx` they install it for that one time.
    """

    folder: Path
    path: Sequence[Path]
    before: Sequence[str] = ()

    def run(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Runs a program of the package."""
        return self._done([*self.before, *words], given)

    def do(self, line: str) -> None:
        """Runs a line of a shell, which must succeed."""
        done = self._done(["sh", "-c", line])
        if any(words in done.stderr for words in _UNREACHABLE):
            pytest.skip("no package index can be reached")
        assert done.returncode == 0, done.stdout + done.stderr

    def _done(self, words: Sequence[str], given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words,
            input=given,
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=_LONGEST_SECONDS,
            check=False,
        )

    @property
    def _environment(self) -> dict[str, str]:
        foreign = ("PYTHON", "VIRTUAL_ENV", "TARGET_APOLLO_", "PIPX_", "UV_", "XDG_")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
        places = [*map(str, self.path), str(self.folder / ".local" / "bin"), kept["PATH"]]
        # To compile what no test imports takes half of the time.
        own = {"HOME": str(self.folder), "PATH": os.pathsep.join(places), "PIP_NO_COMPILE": "1"}
        return {**kept, **own}


def uv_folder() -> Path:
    """Where uv and uvx are: Meltano brings them."""
    folder = Path(executable()).parent
    if not (folder / "uv").exists():
        pytest.skip("uv is not installed")
    return folder


def new_environment(folder: Path) -> Path:
    """The folder of the programs of a new environment with pip."""
    venv.create(folder, with_pip=True, symlinks=True)
    return folder / "bin"


@pytest.fixture(scope="module", params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def home(way: str, built_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("home")
    wheel = shlex.quote(str(built_wheel))
    if way == "pip":
        home = Home(folder, [new_environment(folder / "venv")])
        home.do(f"pip install {wheel}")
    elif way == "pipx":
        home = Home(folder, [new_environment(folder / "pipx")])
        home.do(f"pip install pipx && pipx install {wheel}")
    elif way == "uv tool":
        home = Home(folder, [uv_folder()])
        home.do(f"uv tool install --python {sys.executable} {wheel}")
    else:
        uvx = ("uvx", "--quiet", "--python", sys.executable, "--from", str(built_wheel))
        home = Home(folder, [uv_folder()], uvx)
        home.do(f"uvx --python {sys.executable} --from {wheel} target-apollo --version")
    return home


def what_to_do(said: str) -> str:
    """The command of a message that an extra is missing."""
    found = re.search(r"needs the extra 'sandbox': (.+)$", said, re.MULTILINE)
    assert found, said
    return found[1]


def test_each_program_tells_its_version(home: Home) -> None:
    for program in PROGRAMS:
        said = home.run(program, "--version")
        assert said.returncode == 0, said.stderr
        assert version("target-apollo") in said.stdout


def test_apollo_sync_has_a_help(home: Home) -> None:
    said = home.run("apollo-sync", "--help")
    assert said.returncode == 0, said.stderr
    assert "Commands:" in said.stdout


def test_two_rows_arrive(home: Home, apollo: Sandbox) -> None:
    config = home.folder / "config.json"
    config.write_text(json.dumps({"api_url": apollo.url, "api_key": "sandbox"}))
    messages = [
        schema("contacts"),
        record("contacts", id=1, email="ann@one.example", first_name="Ann", last_name="One"),
        record("contacts", id=2, email="bob@two.example", first_name="Bob", last_name="Two"),
        state({"bookmarks": {"contacts": 2}}),
    ]
    given = lines_of(messages).decode()
    said = home.run("target-apollo", "--config", str(config), given=given)
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout) == {"bookmarks": {"contacts": 2}}
    assert {contact["first_name"] for contact in apollo.store.contacts()} == {"Ann", "Bob"}


def test_meltano_is_given_the_wheel(home: Home, built_wheel: Path) -> None:
    said = home.run("apollo-sync", "definition", "loader")
    assert said.returncode == 0, said.stderr
    assert f'pip_url: "{built_wheel}"' in said.stdout


def test_what_a_message_says_of_a_missing_extra_brings_it(
    home: Home, way: str, built_wheel: Path
) -> None:
    missing = home.run("apollo-sync", "sandbox")
    assert missing.returncode == 2
    told = what_to_do(missing.stderr)
    assert told.startswith(way)
    assert f"{built_wheel}[sandbox]" in told
    if way == "uvx":
        home.do(told.replace("…", "sandbox --help"))
    else:
        home.do(told)
        assert home.run("apollo-sync", "sandbox", "--help").returncode == 0
