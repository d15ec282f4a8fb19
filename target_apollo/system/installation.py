"""Where this package was installed from and by which program, and so how an extra comes to it.

An installer notes the folder, wheel or repository beside the package (PEP 610); what came from an
index has no such note. Each program that keeps the package in an environment of its own makes that
environment anew: its command names the extras that are there already too.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from importlib.metadata import Distribution

PACKAGE: Final = "target-apollo"

#: Extra -> the import names of the packages that it alone brings.
EXTRAS: Final[Mapping[str, tuple[str, ...]]] = {
    "parquet": ("pyarrow",),
    "postgres": ("psycopg",),
    "s3": ("s3fs",),
    "sandbox": ("httptools", "starlette", "uvicorn"),
}


class Installer(Enum):
    """A program that installs, and the command by which it adds an extra."""

    MELTANO = "set `pip_url: {editable}{requirement}` in meltano.yml and run `meltano install`"
    PIP = "pip install {editable}{requirement}"
    PIPX = "pipx install --force {editable}{requirement}"
    UV = "uv pip install {editable}{requirement}"
    UV_TOOL = "uv tool install --force {editable}{requirement}"
    UVX = "uvx --from {requirement} apollo-sync …"


#: They change an environment and leave in it what is there.
_IN_PLACE: Final = frozenset({Installer.PIP, Installer.UV})


@dataclass(frozen=True, slots=True)
class Source:
    """What an installer takes the package from.

    Attributes:
        address: A folder, a wheel, a URL, or the package's name in an index.
        editable: Whether the package is used where it is, not copied.
    """

    address: str = PACKAGE
    editable: bool = False

    def requirement(self, extras: Sequence[str] = ()) -> str:
        """What an installer is given, as in ``/source[postgres,sandbox]``."""
        wanted = f"[{','.join(sorted(extras))}]" if extras else ""
        if "://" in self.address:
            # No blank: Meltano reads several requirements, which blanks separate.
            return f"{PACKAGE}{wanted}@{self.address}"
        return f"{self.address}{wanted}"


def source_of(direct_url: str | None) -> Source | None:
    """The source of an installation; None where it is gone, or can't be told.

    Args:
        direct_url: The text of ``direct_url.json``; None without such a file.
    """
    if direct_url is None:
        return Source()
    try:
        noted = json.loads(direct_url)
        url, revision = noted["url"], noted.get("vcs_info", {}).get("requested_revision")
        kind = noted.get("vcs_info", {}).get("vcs")
        editable = noted.get("dir_info", {}).get("editable") is True
        parts = urlsplit(url)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    if parts.scheme == "file":
        path = Path(unquote(parts.path))
        there = path.is_file() or (path / "pyproject.toml").is_file()
        return Source(str(path), editable) if there else None
    # Whatever stands before the host may be a password.
    if parts.password or parts.username not in (None, "git") or "subdirectory" in noted:
        return None
    return Source(f"{kind}+{url}" + (f"@{revision}" if revision else "") if kind else url)


def installer_of(prefix: Path, noted: str) -> Installer | None:
    """The program that made an environment; None where nothing tells it.

    Args:
        prefix: The environment's folder.
        noted: The text of the file ``INSTALLER`` beside the package.
    """
    if ".meltano" in prefix.parts:
        return Installer.MELTANO
    if (prefix / "pipx_metadata.json").exists():
        return Installer.PIPX
    if (prefix / "uv-receipt.toml").exists():
        return Installer.UV_TOOL
    by_uv = noted.strip() == "uv"
    # The environment of a single `uvx` is in uv's cache.
    if by_uv and any((folder / "CACHEDIR.TAG").exists() for folder in prefix.parents):
        return Installer.UVX
    if by_uv:
        return Installer.UV
    return Installer.PIP if noted.strip() == "pip" else None


def own_source() -> Source | None:
    """What this package was installed from; None where that is gone, or can't be told."""
    installed = _distribution()
    return source_of(installed.read_text("direct_url.json")) if installed else None


def _distribution() -> Distribution | None:
    # Few runs need it, and it takes a twentieth of a second.
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        return distribution(PACKAGE)
    except PackageNotFoundError:
        return None


def extras_installed() -> list[str]:
    """The extras whose packages are all there."""
    return [name for name, packages in EXTRAS.items() if all(map(find_spec, packages))]


def how_to_install(extra: str) -> str:
    """What to do so that an extra is there, as a part of a sentence."""
    installed = _distribution()
    source = own_source()
    noted = (installed.read_text("INSTALLER") if installed else None) or ""
    installer = installer_of(Path(sys.prefix), noted)
    if source is None or installer is None:
        return f"install {PACKAGE} with its extra '{extra}'"
    return command(installer, source, extra, extras_installed())


def command(installer: Installer, source: Source, extra: str, others: Sequence[str]) -> str:
    """How an installer adds an extra; the others are there already and stay."""
    wanted = {extra} if installer in _IN_PLACE else {extra, *others}
    return installer.value.format(
        editable="-e " if source.editable else "",
        # Brackets are patterns for shells.
        requirement=shlex.quote(source.requirement([*wanted])),
    )
