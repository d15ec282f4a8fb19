"""`apollo-sync login` in a thread of the test, against a sandbox."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.helpers.oauth_settings import config, no_settings_around
from tests.helpers.started_login import AUTHORIZE, Login, StartLogin
from tests.promises.conftest import apollo

__all__ = ["apollo", "config", "no_settings_around"]  # fixtures


@pytest.fixture
def login(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> StartLogin:
    """Starts `apollo-sync login` with a settings file and further arguments."""

    @contextmanager
    def start(config: str, *more: str) -> Iterator[Login]:
        reading, typing = os.pipe()
        with os.fdopen(reading) as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            arguments = ["--config", config, "--authorize-url", AUTHORIZE, *more]
            started = Login(arguments, capsys, typing)
            try:
                yield started
            finally:
                started.give_up()

    return start
