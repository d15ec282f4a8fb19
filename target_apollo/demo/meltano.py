"""Meltano runs of this project with their own state, logs and settings, apart from the user's."""

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
#: What a plugin is installed into below ``.meltano``, and what it is run by.
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
    """A finished ``meltano run``: its exit code, its whole log and how long it took."""

    exit_code: int
    log: Path
    seconds: float

    @property
    def text(self) -> str:
        """What Meltano and its plugins said."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def last_lines(self, count: int = 15) -> str:
        """The end of the log, for the person who must find out why a run failed."""
        return "\n".join(self.text.splitlines()[-count:])


class Project:
    """The project's ``meltano.yml`` run with a working folder of its own.

    Below ``folder`` stand Meltano's state, its logs, and the target's rejects, summaries and
    ledger; only the plugins' environments are the project's. Runs of different folders can go on
    at the same time.
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
        """Where the latest run left its summary."""
        return self.folder / "runs" / f"{self._runs:02}.json"

    def run(
        self, *blocks: str, settings: Mapping[str, str] | None = None, environment: str = "dev"
    ) -> MeltanoRun:
        """``meltano run`` the blocks, by default ``tap-postgres target-apollo``.

        ``settings`` are environment variables, such as ``TARGET_APOLLO_MODE``.
        Raises `MeltanoError` when the run does not come to an end.
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
    """The ``meltano`` to use: the one that make installed, else the one on the PATH."""
    own = ROOT / ".venv-meltano" / "bin" / "meltano"
    if own.exists():
        return own
    found = shutil.which("meltano")
    if found is None:
        raise MeltanoError("Meltano is not installed: run `make .venv-meltano/.ready` first.")
    return Path(found)


def install_plugins() -> bool:
    """Install tap and target into ``.meltano`` unless that was done with the same requirements.

    Returns whether anything was installed; safe to call from several processes at once.
    Raises `MeltanoError` when it fails.
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
        # Meltano itself does not see that the requirements of an editable plugin changed.
        command = [str(executable()), "install", "--clean"]
        if _call(command, _plain_environment(), log, _SECONDS_TO_INSTALL):
            last = "\n".join(log.read_text(encoding="utf-8").splitlines()[-15:])
            raise MeltanoError(f"`meltano install` failed, see {log}. It ended with:\n{last}")
        stamp.write_text(wanted, encoding="ascii")
        return True


def _requirements() -> str:
    """A fingerprint of everything that says what is installed."""
    asked = [
        line.strip()
        for line in (ROOT / "meltano.yml").read_text(encoding="utf-8").splitlines()
        if "pip_url:" in line
    ]
    asked.append((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    # Virtual environments do not survive a move of the folder, nor another Meltano.
    asked += [str(ROOT), str(executable().resolve())]
    return hashlib.sha256("\n".join(asked).encode()).hexdigest()


def _plain_environment() -> dict[str, str]:
    """The caller's environment without its own Meltano, warehouse and Apollo settings."""
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
    """Run a command to its end, with its output in ``log``; it never outlives the caller's wait."""
    log.touch(mode=0o600)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # A group of its own: its plugins can be stopped with it, and Ctrl-C reaches it once.
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
