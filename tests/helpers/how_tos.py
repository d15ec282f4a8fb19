"""Runs what a how-to tells its reader to run: its files are written, its commands executed.

A fenced block says by the words after its language what it is:

- ``bash run``: commands; they must succeed, or end with ``exit=3``, in the folder ``in=machine-1``.
- ``sql run``: a statement for the warehouse.
- ``text output``: parts of lines that are to be found, in this order, in what the commands before
  said.
- ``json file=config.json``: a file to be there.
- ``yaml settings``: settings that the target takes.

Any other block is only read. What a command exports holds for those after it, as in a terminal.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from target_apollo.demo.meltano import ROOT, executable

HOW_TOS = ROOT / "docs" / "how-to"
#: Where a reader's sandbox listens.
USUAL_SANDBOX = "http://127.0.0.1:8700"
_FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_TARGET_INSTALLED = re.compile(r"(    namespace: target_apollo\n)    pip_url: .*\n")
_LONGEST_SECONDS = 120


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, and the line on which it begins."""

    language: str
    words: tuple[str, ...]
    text: str
    line: int

    def option(self, name: str, otherwise: str = "") -> str:
        """The value of ``name=value``."""
        found = [word.split("=", 1)[1] for word in self.words if word.startswith(f"{name}=")]
        return found[0] if found else otherwise

    def is_a(self, word: str) -> bool:
        return word in self.words


def blocks_of(page: str) -> Iterator[Block]:
    for found in _FENCE.finditer(page):
        line = page.count("\n", 0, found.start()) + 1
        yield Block(found[1], tuple(found[2].split()), found[3], line)


def lacks(said: str, wanted: str) -> str:
    """The first line of `wanted` that is not in `said` after those before it; empty if none."""
    at = 0
    for line in filter(None, (line.strip(" …") for line in wanted.splitlines())):
        at = said.find(line, at)
        if at < 0:
            return line
        at += len(line)
    return ""


class Reader:
    """Somebody who follows a how-to in a folder of their own, with a project and a shell."""

    def __init__(self, folder: Path, environment: Mapping[str, str], sandbox: str) -> None:
        self._folder = folder
        self._sandbox = sandbox
        commands = [str(Path(sys.executable).parent), str(executable().parent), os.environ["PATH"]]
        self._environment = {
            **_plain_environment(),
            "PATH": ":".join(commands),
            "MELTANO_AUTO_INSTALL": "false",
            "NO_COLOR": "1",
            **environment,
        }
        self.said = ""
        self._prepare(folder)

    def _prepare(self, folder: Path) -> None:
        """A Meltano project whose tap is installed, and whose target is the one on the PATH.

        That one has the extra `postgres`, which a reader installs by its `pip_url`.
        """
        plugins = folder / ".meltano"
        if not plugins.exists():
            plugins.mkdir(parents=True)
            (plugins / "extractors").symlink_to(ROOT / ".meltano" / "extractors")
            project = (ROOT / "meltano.yml").read_text(encoding="utf-8")
            own, changed = _TARGET_INSTALLED.subn(r"\1", project)
            assert changed == 1
            (folder / "meltano.yml").write_text(own, encoding="utf-8")

    def write(self, block: Block) -> None:
        path = self._folder / block.option("file")
        path.write_text(self._as_here(block.text), encoding="utf-8")

    def run(self, block: Block) -> int:
        """Runs the commands of a block, keeps what they said, and gives their exit code."""
        folder = self._folder / block.option("in", ".")
        self._prepare(folder)
        kept = shlex.quote(str(self._folder / "exported.sh"))
        script = f"[ ! -e {kept} ] || . {kept}\ntrap 'export -p > {kept}' EXIT\nset -eu\n"
        done = subprocess.run(
            ["bash", "-c", script + self._as_here(block.text)],
            cwd=folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_LONGEST_SECONDS,
            check=False,
        )
        self.said = done.stdout
        return done.returncode

    def _as_here(self, text: str) -> str:
        return text.replace(USUAL_SANDBOX, self._sandbox)


def _plain_environment() -> dict[str, str]:
    """The caller's environment without settings of its own for what is run here."""
    foreign = ("MELTANO_", "TAP_", "TARGET_APOLLO_", "MAP_APOLLO_", "APOLLO_", "DATABASE_URL")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
