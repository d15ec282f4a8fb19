"""Runs the how-tos: writes their files and executes their commands.

The words after the language of a fenced block say what to do with it:

- ``bash run``: execute these commands, which must succeed; ``exit=3`` expects another exit code,
  ``in=machine-1`` names a folder.
- ``sql run``: execute this statement in the warehouse.
- ``text output``: the output of the commands before must have these parts of lines, in this order.
- ``json file=config.json``: write this file.
- ``python from=dagster_teams.py``: a part of this file, in the folder with the page's name.
- ``yaml settings``: the target must accept these settings.

Other blocks are ignored. Variables that a command exports are kept for later ones, as in a
terminal.
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
#: Address of the sandbox in the how-tos.
USUAL_SANDBOX = "http://127.0.0.1:8700"
_FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
TARGET_INSTALLED = re.compile(r"(    namespace: target_apollo\n)    pip_url: .*\n")
_LONGEST_SECONDS = 120


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, with the number of its first line."""

    language: str
    words: tuple[str, ...]
    text: str
    line: int

    def option(self, name: str, otherwise: str = "") -> str:
        """The value of the word ``name=value``; ``otherwise`` without such a word."""
        values = [word.split("=", 1)[1] for word in self.words if word.startswith(f"{name}=")]
        return values[0] if values else otherwise

    def is_a(self, word: str) -> bool:
        return word in self.words


def blocks_of(page: str) -> Iterator[Block]:
    for match in _FENCE.finditer(page):
        line = page.count("\n", 0, match.start()) + 1
        yield Block(match[1], tuple(match[2].split()), match[3], line)


def lacks(output: str, wanted: str) -> str:
    """The first line of `wanted` that `output` lacks after the lines before; empty if none."""
    at = 0
    for line in filter(None, (line.strip(" …") for line in wanted.splitlines())):
        at = output.find(line, at)
        if at < 0:
            return line
        at += len(line)
    return ""


class Reader:
    """Follows a how-to in a folder with a Meltano project; ``output`` is that of the last block."""

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        in_project: Mapping[str, str],
        sandbox: str,
    ) -> None:
        self._folder = folder
        self._sandbox = sandbox
        self._in_project = in_project
        commands = [str(Path(sys.executable).parent), str(executable().parent), os.environ["PATH"]]
        self._environment = {
            **_plain_environment(),
            "PATH": ":".join(commands),
            "MELTANO_AUTO_INSTALL": "false",
            "NO_COLOR": "1",
            **environment,
        }
        self.output = ""
        self._prepare(folder)

    def _prepare(self, folder: Path) -> None:
        """Makes a Meltano project with `.env` and an installed tap; its target is on the PATH.

        That target has the extra `postgres`, which a reader installs by `pip_url`.
        """
        plugins = folder / ".meltano"
        if not plugins.exists():
            plugins.mkdir(parents=True)
            (plugins / "extractors").symlink_to(ROOT / ".meltano" / "extractors")
            project = (ROOT / "meltano.yml").read_text(encoding="utf-8")
            own, changed = TARGET_INSTALLED.subn(r"\1", project)
            assert changed == 1
            (folder / "meltano.yml").write_text(self._with_own_sandbox(own), encoding="utf-8")
            lines = [f"{name}={value}\n" for name, value in self._in_project.items()]
            (folder / ".env").write_text("".join(lines), encoding="utf-8")

    def write(self, block: Block) -> None:
        path = self._folder / block.option("file")
        path.write_text(self._with_own_sandbox(block.text), encoding="utf-8")

    def run(self, block: Block) -> int:
        """Runs the commands of a block, keeps their output, and returns their exit code."""
        folder = self._folder / block.option("in", ".")
        self._prepare(folder)
        kept = shlex.quote(str(self._folder / "exported.sh"))
        script = f"[ ! -e {kept} ] || . {kept}\ntrap 'export -p > {kept}' EXIT\nset -eu\n"
        done = subprocess.run(
            ["bash", "-c", script + self._with_own_sandbox(block.text)],
            cwd=folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_LONGEST_SECONDS,
            check=False,
        )
        self.output = done.stdout
        return done.returncode

    def _with_own_sandbox(self, text: str) -> str:
        return text.replace(USUAL_SANDBOX, self._sandbox)


def _plain_environment() -> dict[str, str]:
    """The environment of this process without settings of Meltano, taps, target and mapper."""
    foreign = ("MELTANO_", "TAP_", "TARGET_APOLLO_", "MAP_APOLLO_", "APOLLO_", "DATABASE_URL")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
