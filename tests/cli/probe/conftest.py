"""Probes of a strict sandbox, in this process."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from target_apollo.cli.probe import own_records, reading
from target_apollo.cli.probe.command import command
from target_apollo.sandbox import Sandbox


@dataclasses.dataclass(frozen=True)
class Probed:
    """A probe that has ended."""

    exit_code: int
    output: str
    report: str
    profile: dict[str, Any]

    @property
    def report_in_one_line(self) -> str:
        """The report without its line breaks, which may be within a sentence."""
        return " ".join(self.report.split())

    @property
    def answers(self) -> dict[str, str]:
        """The answers in the profile."""
        answers: dict[str, str] = self.profile.get("answers", {})
        return answers


Run = Callable[..., Probed]


@pytest.fixture
def probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Probes a sandbox; a further probe finds the profile of the one before."""
    for module in (own_records, reading):
        monkeypatch.setattr(module, "LOOKS", (0.0, 0.1, 0.3))

    def run(apollo: Sandbox, *arguments: str, **settings: Any) -> Probed:
        config, report = tmp_path / "config.json", tmp_path / "report.md"
        profile = tmp_path / "profile.json"
        own = {"api_key": apollo.api_key, "api_url": apollo.url, "profile_path": str(profile)}
        config.write_text(json.dumps({**own, "max_retries": 0, **settings}))
        given = ["--config", str(config), "--report", str(report), *(arguments or ("--yes",))]
        result = CliRunner().invoke(command, given, standalone_mode=False, catch_exceptions=False)
        return Probed(
            result.return_value if result.return_value is not None else result.exit_code,
            result.output,
            report.read_text() if report.exists() else "",
            json.loads(profile.read_text()) if profile.exists() else {},
        )

    return run
