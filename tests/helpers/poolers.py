"""Poolers between a process and PostgreSQL that give each transaction another session.

`pgbouncer` runs the real one. `transaction_pooler` is a small one, so that the promise is tested
where PgBouncer is not installed; its sessions go round, so that the next transaction has another.
"""

from __future__ import annotations

import contextlib
import os
import queue
import select
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from target_apollo.demo.postgres import PostgresServer

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
needs_pgbouncer = pytest.mark.skipif(PGBOUNCER is None, reason="PgBouncer is not installed")
_START_SECONDS = 20.0
_NO_ENCRYPTION = {80877103, 80877104}  # requests for TLS and for GSSAPI


@contextlib.contextmanager
def pgbouncer(server: PostgresServer, *, mode: str = "transaction") -> Iterator[PostgresServer]:
    """A PgBouncer with a few sessions in front of a server; its clients need no password."""
    assert PGBOUNCER is not None
    with tempfile.TemporaryDirectory(prefix="apollo-pooler-") as name, socket.socket() as probe:
        folder = Path(name)
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
        probe.close()
        settings = folder / "pgbouncer.ini"
        settings.write_text(
            f"[databases]\n{server.database} = host={server.host} port={server.port} "
            f"user={server.user} password={server.password}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = any\npool_mode = {mode}\ndefault_pool_size = 4\n"
            f"logfile = {folder / 'pgbouncer.log'}\n"
        )
        # It refuses to run as root.
        user = {"user": "nobody"} if os.geteuid() == 0 else {}
        if user:
            shutil.chown(folder, "nobody")
            shutil.chown(settings, "nobody")
        process = subprocess.Popen(
            [PGBOUNCER, str(settings)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            **user,  # type: ignore[call-overload] - only `user`
        )
        pooled = replace(server, port=port, password="")
        try:
            deadline = time.monotonic() + _START_SECONDS
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    assert process.poll() is None, (folder / "pgbouncer.log").read_text()
                    assert time.monotonic() < deadline
                    time.sleep(0.02)
            yield pooled
        finally:
            process.terminate()
            process.wait()


@contextlib.contextmanager
def transaction_pooler(server: PostgresServer) -> Iterator[PostgresServer]:
    """A pooler of this process with three sessions, each used again by whoever comes next."""
    sessions: queue.Queue[psycopg.Connection] = queue.Queue()
    with contextlib.ExitStack() as opened, socket.create_server(("127.0.0.1", 0)) as listener:
        for _ in range(3):
            sessions.put(opened.enter_context(contextlib.closing(psycopg.connect(server.url))))

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _address = listener.accept()
                    threading.Thread(target=_serve, args=(client, sessions), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield replace(server, port=int(listener.getsockname()[1]), password="")
        listener.shutdown(socket.SHUT_RDWR)


def _serve(client: socket.socket, sessions: queue.Queue[psycopg.Connection]) -> None:
    with client, contextlib.suppress(ConnectionError):
        _welcome(client)
        asking = _Messages(client)
        while client.recv(1, socket.MSG_PEEK) not in {b"", b"X"}:
            session = sessions.get()
            with socket.socket(fileno=os.dup(session.pgconn.socket)) as server:
                server.setblocking(True)
                try:
                    _transaction(asking, _Messages(server))
                except ConnectionError:
                    # The client has gone: what it left open is rolled back.
                    _roll_back(server)
                    raise
                finally:
                    sessions.put(session)


class _Messages:
    """The whole messages of a socket, each a letter and its bytes."""

    def __init__(self, source: socket.socket) -> None:
        source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = source
        self._begun = b""

    def fileno(self) -> int:
        return self.socket.fileno()

    def read(self) -> list[tuple[bytes, bytes]]:
        """Those that have come whole; raises ConnectionError at the end."""
        part = self.socket.recv(1 << 16)
        if not part:
            raise ConnectionError
        come, at, found = self._begun + part, 0, []
        while len(come) >= at + 5:
            end = at + 1 + struct.unpack_from("!i", come, at + 1)[0]
            if len(come) < end:
                break
            found.append((come[at : at + 1], come[at:end]))
            at = end
        self._begun = come[at:]
        return found


def _transaction(client: _Messages, server: _Messages) -> None:
    """Pass messages on until the server is ready, for all that was asked, outside a transaction."""
    asked = answered = 0
    status = b""
    while not asked or answered < asked or status != b"I":
        for ready in select.select([client, server], [], [])[0]:
            messages = ready.read()
            if ready is client:
                asked += sum(kind in {b"Q", b"S"} for kind, _ in messages)
            else:
                states = [message[-1:] for kind, message in messages if kind == b"Z"]
                answered += len(states)
                status = states[-1] if states else status
            other = server if ready is client else client
            other.socket.sendall(b"".join(message for _, message in messages))


def _roll_back(server: socket.socket) -> None:
    server.sendall(b"S" + struct.pack("!i", 4) + b"Q" + struct.pack("!i", 13) + b"ROLLBACK\0")
    server.settimeout(0.5)
    with contextlib.suppress(TimeoutError):
        while server.recv(1 << 16):
            pass


def _welcome(client: socket.socket) -> None:
    while True:
        size, code = struct.unpack("!ii", _exactly(client, 8))
        _exactly(client, size - 8)
        if code not in _NO_ENCRYPTION:
            break
        client.sendall(b"N")
    client.sendall(b"R" + struct.pack("!ii", 8, 0))
    for name, value in (
        ("server_version", "16.0"),
        ("client_encoding", "UTF8"),
        ("standard_conforming_strings", "on"),
        ("integer_datetimes", "on"),
        ("TimeZone", "UTC"),
    ):
        body = f"{name}\0{value}\0".encode()
        client.sendall(b"S" + struct.pack("!i", len(body) + 4) + body)
    client.sendall(b"Z" + struct.pack("!i", 5) + b"I")


def _exactly(source: socket.socket, size: int) -> bytes:
    parts = b""
    while len(parts) < size:
        part = source.recv(size - len(parts))
        if not part:
            raise ConnectionError
        parts += part
    return parts
