"""Listens on the loopback address to which Apollo sends the browser (RFC 8252, section 7.3)."""

from __future__ import annotations

import contextlib
import queue
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from target_apollo.cli.login.authorization import Authorization, NotGranted, NotThisLogin

PATH = "/callback"
# Browsers open connections in advance and may send nothing on them: they are closed after this.
_SILENCE_SECONDS = 10


class Listener:
    """Waits on 127.0.0.1 for the browser.

    Args:
        port: The port to listen on; 0 takes a free one.

    Raises:
        OSError: The port can't be listened on.
    """

    def __init__(self, port: int) -> None:
        self._asked: Authorization | None = None
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._server = _Server(("127.0.0.1", port), self)

    @property
    def redirect_uri(self) -> str:
        """The address to which Apollo must send the browser."""
        return f"http://127.0.0.1:{self._server.server_address[1]}{PATH}"

    def offer(self, address: str) -> bool:
        """Keeps the address of a browser's request; returns False if it is another login's."""
        try:
            if self._asked is not None:
                self._asked.code_in(address)
        except NotThisLogin:
            sys.stderr.write("An answer that belongs to another login was refused.\n")
            return False
        except NotGranted:
            # A refusal is an answer too, and ends the wait.
            pass
        self._answers.put(address)
        return True

    def wait(self, seconds: float) -> str | None:
        """The address to which Apollo sent the browser, or None if it does not come in time."""
        try:
            return self._answers.get(timeout=seconds)
        except queue.Empty:
            return None

    @contextlib.contextmanager
    def listening(self, asked: Authorization) -> Iterator[None]:
        """Listens for answers to a request for consent; the port is free again afterwards."""
        self._asked = asked
        thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="login", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], listener: Listener) -> None:
        self.listener = listener
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Logs nothing: the address in a traceback holds the code."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _SILENCE_SECONDS

    def do_GET(self) -> None:
        """Takes the answer at `PATH`; any other path gets a 404."""
        if urlsplit(self.path).path != PATH:
            self._say(404, "There is nothing here.")
        elif self.server.listener.offer(self.path):
            self._say(200, "Apollo has answered. Go back to the terminal; this page can be closed.")
        else:
            self._say(400, "This answer belongs to another login and was not used.")

    def _say(self, status: int, sentence: str) -> None:
        page = f"<!doctype html><title>apollo-sync login</title><p>{sentence}</p>".encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Logs nothing: the address holds the code."""
