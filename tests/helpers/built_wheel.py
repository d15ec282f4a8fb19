"""Builds the wheel of this source tree, and environments in which it is installed."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def build_wheel(folder: Path) -> Path:
    """Builds the wheel into a folder; skips the test if no build backend is available."""
    # If the build backend is installed, the build needs no download.
    isolation = [] if not importlib.util.find_spec("hatchling") else ["--no-build-isolation"]
    arguments = ["wheel", "--no-deps", *isolation, "--wheel-dir", str(folder), str(ROOT)]
    built = subprocess.run(
        [sys.executable, "-m", "pip", *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    if "No matching distribution found for hatchling" in built.stderr:
        pytest.skip("hatchling is not installed, and no package index can be reached")
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


class Installed:
    """A new environment with the wheel and the packages of the test environment."""

    def __init__(self, wheel: Path, folder: Path) -> None:
        self.folder = folder
        venv.create(folder / "venv", symlinks=True)
        self.bin = folder / "venv" / "bin"
        self._pip("install", "--no-deps", "--no-index", str(wheel))
        # Packages of the wheel take precedence; links to a source tree have no effect there.
        (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
        (site / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")

    def _pip(self, *arguments: str) -> None:
        pip = [sys.executable, "-m", "pip", "--python", str(self.bin / "python"), "--quiet"]
        subprocess.run([*pip, *arguments], timeout=120, check=True)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of this process without settings and without paths to a source tree."""
        prefixes = ("PYTHON", "VIRTUAL_ENV", "TARGET_APOLLO_", "MAP_APOLLO_LEADS_")
        return {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}

    def run(
        self, command: str, *arguments: str, given: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command of the environment in its folder, with this text as standard input."""
        return subprocess.run(
            [self.bin / command, *arguments],
            input=given,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
