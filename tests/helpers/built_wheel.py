"""The wheel of this source tree, and environments that hold it and no source tree."""

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
    """Builds the wheel into a folder; skips the test where nothing can build it."""
    # With the build backend at hand nothing is downloaded, and the wheel is the same.
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
    """A fresh environment with the wheel, beside the packages that the tests have."""

    def __init__(self, wheel: Path, folder: Path) -> None:
        self.folder = folder
        venv.create(folder / "venv", symlinks=True)
        self.bin = folder / "venv" / "bin"
        self._pip("install", "--no-deps", "--no-index", str(wheel))
        # The wheel's own packages come before these, and links to a source tree are not followed.
        (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
        (site / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")

    def _pip(self, *arguments: str) -> None:
        pip = [sys.executable, "-m", "pip", "--python", str(self.bin / "python"), "--quiet"]
        subprocess.run([*pip, *arguments], timeout=120, check=True)

    @property
    def environment(self) -> dict[str, str]:
        """The process's own, without what leads to a source tree or holds settings."""
        led = ("PYTHON", "VIRTUAL_ENV", "TARGET_APOLLO_", "MAP_APOLLO_LEADS_")
        return {name: value for name, value in os.environ.items() if not name.startswith(led)}

    def run(
        self, command: str, *arguments: str, given: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command of the environment in the folder, with text on its standard input."""
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
