"""What `pyproject.toml` says of the package: its addresses, and where it is installed from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from target_apollo.system.installation import PACKAGE, Source

#: That of this checkout, wherever its reader works.
FILE = Path(__file__).parents[2] / "pyproject.toml"


class _Project(msgspec.Struct):
    version: str
    urls: dict[str, str]


class _Own(msgspec.Struct, rename="kebab"):
    install_from: str


class _Tool(msgspec.Struct, rename={"own": PACKAGE}):
    own: _Own


class _File(msgspec.Struct):
    project: _Project
    tool: _Tool


@dataclass(frozen=True)
class Installing:
    """What installers are given, by where its reader is.

    Attributes:
        here: In the checkout.
        around: In the folder that holds the checkout.
        beside: In another folder there, such as a Meltano project.
    """

    here: Source
    around: Source
    beside: Source

    @classmethod
    def of(cls, install_from: str) -> Installing:
        """From the setting `install-from`."""
        if not _is_relative_path(install_from):
            return cls(*[Source(install_from)] * 3)
        path = Path(install_from)
        return cls(
            Source("." if path == Path() else f"./{path}"),
            Source(f"./{PACKAGE / path}"),
            Source(f"../{PACKAGE / path}"),
        )


def _is_relative_path(text: str) -> bool:
    is_path = "/" in text or text == "." or text.endswith((".whl", ".tar.gz"))
    return is_path and "://" not in text and not text.startswith("/")


def installing() -> Installing:
    """Where the package is installed from, as every page has it."""
    return Installing.of(_read().tool.own.install_from)


def version() -> str:
    """The version of the package."""
    return _read().project.version


def urls() -> dict[str, str]:
    """The addresses of the project, by their names."""
    return _read().project.urls


def repository_owner() -> str:
    """Who has the repository, by its address; Meltano Hub names variants after it."""
    return urls()["Repository"].split("/")[3].lower()


def is_nobodys(url: str) -> bool:
    """Whether an address stands in for one that is not there yet."""
    return url.split("/")[2].endswith(".example")


def _read() -> _File:
    return msgspec.toml.decode(FILE.read_bytes(), type=_File)
