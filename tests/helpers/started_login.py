"""A login that waits for consent, and the user who gives it in a browser."""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from urllib.parse import parse_qs

import pytest
import requests

from target_apollo.cli import main
from target_apollo.sandbox import Sandbox

AUTHORIZE = "https://apollo.example/#/oauth/authorize"


class Login:
    """Runs a login in a thread; ``url`` is the address of the consent page that it printed."""

    def __init__(self, arguments: list[str], capsys: pytest.CaptureFixture[str], typing: int):
        self._capsys = capsys
        self._typing = typing
        self._exit_code = -1
        self._out = self._err = ""
        self._thread = threading.Thread(target=self._run, args=(arguments,), daemon=True)
        self._thread.start()
        while self._thread.is_alive() and "  http" not in self._out:
            self._listen()
            time.sleep(0.005)
        self._listen()
        match = re.search(r"^  (http.*)$", self._out, re.MULTILINE)
        self.url = match[1] if match else ""

    @property
    def asked(self) -> dict[str, str]:
        # Apollo's consent page has its parameters in the fragment of the URL.
        query = self.url.partition("?")[2]
        return {name: values[0] for name, values in parse_qs(query).items()}

    def end(self, typed: str = "") -> tuple[int, str, str]:
        """Type a line if one is given, wait for the end; exit code, standard output and error."""
        os.write(self._typing, typed.encode())
        os.close(self._typing)
        self._typing = -1
        self._thread.join(60)
        self._listen()
        return self._exit_code, self._out, self._err

    def give_up(self) -> None:
        if self._thread.is_alive() and self.asked["redirect_uri"].startswith("http://127."):
            with contextlib.suppress(requests.ConnectionError):
                browse(f"{self.asked['redirect_uri']}?error=test_is_over")
        if self._typing != -1:
            self.end()
        assert not self._thread.is_alive()

    def _run(self, arguments: list[str]) -> None:
        self._exit_code = main(["login", *arguments])

    def _listen(self) -> None:
        self._thread.join(0.02)
        captured = self._capsys.readouterr()
        self._out += captured.out
        self._err += captured.err


StartLogin = Callable[..., AbstractContextManager[Login]]


def consent_of(apollo: Sandbox, asked: dict[str, str], **other: str) -> str:
    """Allow access, as a user does; returns the address to which Apollo sends the browser."""
    surface = apollo.url.removesuffix("/api/v1") + "/_sandbox/authorize"
    answer = requests.post(surface, json={**asked, **other}, timeout=20)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["location"])


def browse(address: str) -> requests.Response:
    return requests.get(address, timeout=20)
