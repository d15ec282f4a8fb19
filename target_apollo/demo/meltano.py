"""Runs Meltano on this project with a state, logs and settings apart from the user's."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from target_apollo.demo.postgres import PostgresServer

ROOT = Path(__file__).resolve().parents[2]
#: Folder of each plugin below ``.meltano`` -> its command.
_PLUGINS = {
    "extractors/tap-postgres": "tap-postgres",
    "extractors/tap-apollo-sync": "tap-apollo-sync",
    "mappers/map-apollo-leads": "map-apollo-leads",
    "loaders/target-apollo": "target-apollo",
}
_SECONDS_PER_RUN = 240
_SECONDS_TO_INSTALL = 600


class MeltanoError(Exception):
    """Meltano is missing or failed; the message says what to do about it."""


@dataclass(frozen=True)
class MeltanoRun:
    """A finished ``meltano run``: its exit code, its log file and its duration in seconds."""

    exit_code: int
    log: Path
    seconds: float

    @property
    def text(self) -> str:
        """The log of Meltano and its plugins."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def last_lines(self, count: int = 15) -> str:
        """The last lines of the log, for the message of a failed run."""
        return "\n".join(self.text.splitlines()[-count:])


class Project:
    """The project's ``meltano.yml``, run with another working folder.

    ``folder`` holds Meltano's state and logs, and the target's rejects, summaries and ledger. Only
    the environments of the plugins are the project's own. Runs with different folders can take
    place at the same time.
    """

    def __init__(self, folder: Path, server: PostgresServer, api_url: str, api_key: str) -> None:
        self.folder = folder
        self.rejects = folder / "rejects.singer"
        self._server = server
        self.ledger_url = f"sqlite:///{folder / 'ledger.db'}"
        self._api = {"TARGET_APOLLO_API_URL": api_url, "TARGET_APOLLO_API_KEY": api_key}
        self._runs = 0
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        own = folder / "meltano"
        own.mkdir(exist_ok=True, mode=0o700)
        for kind in {Path(plugin).parts[0] for plugin in _PLUGINS}:
            link = own / kind
            if not link.is_symlink():
                link.symlink_to(ROOT / ".meltano" / kind)

    @property
    def summary(self) -> Path:
        """Path of the latest run's summary."""
        return self.folder / "runs" / f"{self._runs:02}.json"

    def run(
        self, *blocks: str, settings: Mapping[str, str] | None = None, environment: str = "dev"
    ) -> MeltanoRun:
        """Run ``meltano run`` with these blocks, by default ``tap-postgres target-apollo``.

        Args:
            blocks: Names of plugins and options.
            settings: Environment variables, such as ``TARGET_APOLLO_MODE``.
            environment: The Meltano environment.

        Raises:
            MeltanoError: The run does not end in time.
        """
        self._runs += 1
        log = self.folder / f"run-{self._runs}.log"
        command = [str(executable()), f"--environment={environment}", "run"]
        command += blocks or ("tap-postgres", "target-apollo")
        started = time.monotonic()
        exit_code = _call(command, self._environment(settings or {}), log, _SECONDS_PER_RUN)
        return MeltanoRun(exit_code, log, time.monotonic() - started)

    def _environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        server = self._server
        return {
            **_plain_environment(),
            "MELTANO_SYS_DIR_ROOT": str(self.folder / "meltano"),
            "TAP_POSTGRES_HOST": server.host,
            "TAP_POSTGRES_PORT": str(server.port),
            "TAP_POSTGRES_USER": server.user,
            "TAP_POSTGRES_PASSWORD": server.password,
            "TAP_POSTGRES_DATABASE": server.database,
            "TARGET_APOLLO_REJECTS_PATH": str(self.rejects),
            "TARGET_APOLLO_LEDGER_URL": self.ledger_url,
            "TARGET_APOLLO_SUMMARY_PATH": str(self.summary),
            **self._api,
            **settings,
        }


def executable() -> Path:
    """The ``meltano`` command that make has installed, else the one on the PATH.

    Raises `MeltanoError` if there is neither.
    """
    own = ROOT / ".venv-meltano" / "bin" / "meltano"
    if own.exists():
        return own
    found = shutil.which("meltano")
    if found is None:
        raise MeltanoError("Meltano is not installed: run `make .venv-meltano/.ready` first.")
    return Path(found)


def install_plugins() -> bool:
    """Install the plugins into ``.meltano``, unless they are there with the same requirements.

    Several processes may call it at once. Returns whether anything was installed; raises
    `MeltanoError` if the installation fails.
    """
    home = ROOT / ".meltano"
    home.mkdir(exist_ok=True)
    wanted = _requirements()
    stamp = home / "installed"
    with _locked(home / "install.lock"):
        there = all(
            (home / plugin / "venv" / "bin" / name).exists() for plugin, name in _PLUGINS.items()
        )
        if there and stamp.exists() and stamp.read_text(encoding="ascii") == wanted:
            return False
        log = home / "install.log"
        # Meltano itself does not notice when the requirements of an editable plugin change.
        command = [str(executable()), "install", "--clean"]
        if _call(command, _plain_environment(), log, _SECONDS_TO_INSTALL):
            last = "\n".join(log.read_text(encoding="utf-8").splitlines()[-15:])
            raise MeltanoError(f"`meltano install` failed, see {log}. It ended with:\n{last}")
        stamp.write_text(wanted, encoding="ascii")
        return True


def _requirements() -> str:
    """A hash of everything that determines what is installed."""
    parts = [
        line.strip()
        for line in (ROOT / "meltano.yml").read_text(encoding="utf-8").splitlines()
        if "pip_url:" in line
    ]
    parts.append((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    # Virtual environments break when the folder moves or Meltano changes.
    parts += [str(ROOT), str(executable().resolve())]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _plain_environment() -> dict[str, str]:
    """The environment of this process without settings of Meltano, a warehouse or Apollo."""
    foreign = (
        "MELTANO_",
        "TAP_POSTGRES_",
        "TARGET_APOLLO_",
        "TAP_APOLLO_SYNC_",
        "APOLLO_",
        "DATABASE_URL",
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {**kept, "MELTANO_AUTO_INSTALL": "false", "NO_COLOR": "1"}


def _call(command: list[str], environment: Mapping[str, str], log: Path, seconds: float) -> int:
    """Run a command with its output in ``log``, and return its exit code.

    However the wait ends, the command and its children are stopped. Raises `MeltanoError` if it
    takes longer than ``seconds``.
    """
    log.touch(mode=0o600)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # With a process group, the plugins can be stopped too, and Ctrl-C does not reach it.
            start_new_session=True,
        )
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired as error:
        raise MeltanoError(
            f"`meltano {command[-1]}` did not end within {seconds:.0f} s and was stopped; "
            f"see {log}."
        ) from error
    finally:
        _end_group(process)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    for ending, seconds in ((signal.SIGTERM, 20), (signal.SIGKILL, 5)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, ending)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
            return


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
