"""The conditions of a measurement: date, machine, Python and the versions of libraries."""

from __future__ import annotations

import os
import platform
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIBRARIES = (
    "singer-sdk",
    "msgspec",
    "jsonschema-rs",
    "SQLAlchemy",
    "requests",
    "urllib3",
    "uvicorn",
    "uvloop",
    "httptools",
)


def described() -> list[str]:
    """One line for each of them, without those that the system does not tell."""
    cpu = _field("/proc/cpuinfo", "model name") or platform.processor()
    memory = _field("/proc/meminfo", "MemTotal").removesuffix(" kB")
    return [
        f"date: {datetime.now(timezone.utc):%Y-%m-%d}",
        f"processor: {cpu}, {os.cpu_count()} cores",
        *([f"memory: {int(memory) / 1024**2:.0f} GB"] if memory else []),
        f"system: {platform.system()} {platform.release().partition('-')[0]}",
        f"Python: {platform.python_implementation()} {platform.python_version()}",
        "libraries: " + ", ".join(f"{name} {found}" for name in LIBRARIES if (found := _of(name))),
    ]


def _field(path: str, name: str) -> str:
    file = Path(path)
    for line in file.read_text().splitlines() if file.exists() else ():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def _of(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
