"""Writes how the package is installed, on every page: ``python -m docs.tools.install_lines``.

A page names the package in commands (``pipx install '.[sandbox]'``) and in Meltano's ``pip_url``.
What they name follows the setting ``install-from`` in `pyproject.toml`; the way to a folder
depends on where its reader is, which the line tells: ``.`` is in the checkout, ``./target-apollo``
beside it, ``../target-apollo`` in another folder there, as a Meltano project is. Extras and all
other words of a line stay. A test fails while a page says anything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from docs.tools.package_settings import Installing, installing
from target_apollo.system.installation import PACKAGE, Source

#: What goes before the thing that is installed, each with the options that may stand between.
_COMMAND = (
    r"(?:(?:uv )?pip install|pipx install|pipx run --spec|uv tool install|uvx --from|pip_url:)"
    r"(?:[ \t]+(?!-e\b)-[\w-]+)*"
)
_LINE = re.compile(
    rf"(?P<before>(?P<command>{_COMMAND})[ \t]+)(?P<quote>['\"]?)(?P<source>[^\s'\"`\[\]<>|&;@]+)"
    r"(?P<extras>\[[\w,…-]+\])?(?P<url>@[^\s'\"`]+)?(?P=quote)"
)
_PACKAGE = re.compile(r"target[-_]apollo\b|^\.{1,2}(/|$)")
_EVERYWHERE = "*.md"


@dataclass(frozen=True)
class InstallLine:
    """A place at which a page says how the package is installed."""

    command: str
    source: str
    text: str

    @property
    def is_for_meltano(self) -> bool:
        """Whether Meltano reads it, in a project of its own."""
        return self.command.startswith("pip_url")


def pages(root: Path = Path()) -> list[Path]:
    """Every page for readers: the README and all below docs."""
    return [root / "README.md", *sorted((root / "docs").rglob(_EVERYWHERE))]


def install_lines(page: str) -> Iterator[InstallLine]:
    """The places of a page that install this package, and no other."""
    for found in _LINE.finditer(page):
        if _names_the_package(found):
            yield InstallLine(found["command"], _source_of(found), found[0])


def renewed(page: str, now: Installing) -> str:
    """The page with what the package is installed from now."""

    def line(found: re.Match[str]) -> str:
        if not _names_the_package(found):
            return found[0]
        source = _for_reader(found, now)
        wanted = (found["extras"] or "").strip("[]")
        requirement = source.requirement(wanted.split(",") if wanted else [])
        # A shell reads brackets as a pattern; YAML does not.
        quote = "'" if wanted and not found["command"].startswith("pip_url") else ""
        return f"{found['before']}{quote}{requirement}{quote}"

    return _LINE.sub(line, page)


def is_agreed(line: InstallLine, now: Installing) -> bool:
    """Whether a line installs from where the setting says."""
    if line.is_for_meltano:
        return line.source == now.beside.address
    return line.source in {now.here.address, now.around.address, now.beside.address}


def _names_the_package(found: re.Match[str]) -> bool:
    return _PACKAGE.search(found["source"]) is not None


def _source_of(found: re.Match[str]) -> str:
    return (found["url"] or found["source"]).lstrip("@")


def _for_reader(found: re.Match[str], now: Installing) -> Source:
    source = _source_of(found)
    if found["command"].startswith("pip_url") or source.startswith("../"):
        return now.beside
    return now.around if source.startswith(f"./{PACKAGE}") else now.here


if __name__ == "__main__":
    for path in pages():
        text = path.read_text(encoding="utf-8")
        if (new := renewed(text, installing())) != text:
            path.write_text(new, encoding="utf-8")
