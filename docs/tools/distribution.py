"""Looks at what is to be published, in `dist/`: ``python -m docs.tools.distribution``.

The wheel and the sdist must hold the files that git has, no more and no fewer. With
``--publish TAG`` the version must be that of the tag, its day must stand in the changelog, and the
project's addresses must be real ones.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from docs.tools.package_settings import is_nobodys, urls, version

DIST = Path("dist")
#: They are for who has a checkout.
NOT_IN_THE_SDIST = (".ci/", ".github/")
NOT_IN_THE_WHEEL = ("target_apollo/demo/",)
#: What a wheel has beside the package.
METADATA = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/docs/LICENSE")


def files_of_the_checkout() -> list[str]:
    """The files that git has of this folder."""
    command = ["git", "ls-files", "-z"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True)
    return [path for path in listed.stdout.split("\0") if path and Path(path).exists()]


def wanted_in_the_sdist(checkout: Iterable[str], number: str) -> set[str]:
    """The names that the sdist of a version must have."""
    kept = [path for path in checkout if not path.startswith(NOT_IN_THE_SDIST)]
    return {f"target_apollo-{number}/{path}" for path in (*kept, "PKG-INFO")}


def wanted_in_the_wheel(checkout: Iterable[str], number: str) -> set[str]:
    """The names that the wheel of a version must have."""
    package = [path for path in checkout if path.startswith("target_apollo/")]
    kept = {path for path in package if not path.startswith(NOT_IN_THE_WHEEL)}
    return kept | {f"target_apollo-{number}.dist-info/{name}" for name in METADATA}


def differences(name: str, wanted: set[str], there: set[str]) -> list[str]:
    """What an archive lacks and what it has too much, as sentences."""
    return [
        *(f"{name} lacks the file {path}: git has it." for path in sorted(wanted - there)),
        *(f"{name} holds a file that is not for it: {path}." for path in sorted(there - wanted)),
    ]


def unfit_to_publish(tag: str, number: str, changelog: str, addresses: Iterable[str]) -> list[str]:
    """Why a version must not be published, as sentences."""
    unfit = []
    if tag.removeprefix("v") != number:
        unfit.append(f"The tag {tag} is not that of the version {number} in pyproject.toml.")
    if f"\n## {number} (20" not in changelog:
        unfit.append(f"CHANGELOG.md does not give the day of version {number}.")
    if any(map(is_nobodys, addresses)):
        unfit.append(f"{_PLACEHOLDERS}: set them there before the package is published.")
    return unfit


_PLACEHOLDERS = "The addresses in [project.urls] of pyproject.toml are nobody's (.example)"


def _names_in(archive: Path) -> set[str]:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return {name for name in wheel.namelist() if not name.endswith("/")}
    with tarfile.open(archive) as sdist:
        return {member.name for member in sdist.getmembers() if member.isfile()}


def main(arguments: Sequence[str]) -> int:
    """Prints what is in `dist/` and what is wrong with it; returns the exit code."""
    number, checkout = version(), files_of_the_checkout()
    expected = {
        f"target_apollo-{number}.tar.gz": wanted_in_the_sdist(checkout, number),
        f"target_apollo-{number}-py3-none-any.whl": wanted_in_the_wheel(checkout, number),
    }
    wrong = differences("dist", {*expected}, {path.name for path in DIST.iterdir()})
    for name, wanted in expected.items():
        if (DIST / name).exists():
            there = _names_in(DIST / name)
            sys.stdout.write(f"{name}: {len(there)} files, {(DIST / name).stat().st_size} bytes\n")
            wrong += differences(name, wanted, there)
    if arguments[:1] == ["--publish"]:
        changelog = Path("CHANGELOG.md").read_text(encoding="utf-8")
        wrong += unfit_to_publish(arguments[1], number, changelog, urls().values())
    elif any(map(is_nobodys, urls().values())):
        sys.stdout.write(f"{_PLACEHOLDERS}.\n")
    sys.stderr.write("".join(f"{sentence}\n" for sentence in wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
