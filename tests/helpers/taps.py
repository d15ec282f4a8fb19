"""Taps and mappers that others wrote, and pipelines of their processes into the target.

``make .venv-taps/.ready`` installs them, each into an environment of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest

from target_apollo.sandbox import Sandbox
from tests.promises.conftest import Message, TargetRun, left_behind

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".venv-taps"
TARGET = (sys.executable, "-m", "target_apollo")
MAPPER = (Path(sys.executable).with_name("map-apollo-leads"),)
SECONDS = 120

Command = Sequence[str | Path]


def installed(package: str, command: str) -> Path:
    """The command of a package that `make` has installed; without it the test is skipped."""
    path = HOME / package / "bin" / command
    if not path.exists():
        pytest.skip(f"{package} is not installed: run `make .venv-taps/.ready`")
    return path


def surroundings() -> dict[str, str]:
    """The environment of this process without settings of taps, Meltano or Apollo."""
    foreign = ("TAP_", "TARGET_", "MELTANO_", "APOLLO_", "DATABASE_URL")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


@dataclass
class Tap:
    """A tap with its settings and its catalog, in a folder of its own."""

    command: Path
    folder: Path
    settings: Message
    catalog: Message | None = None
    #: The option that names the catalog.
    catalog_option: str = "--catalog"

    def discover(self) -> Message:
        """The catalog that the tap makes itself."""
        done = subprocess.run(
            [self.command, "--config", self._write("config.json", self.settings), "--discover"],
            capture_output=True,
            env=surroundings(),
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return dict(json.loads(done.stdout))

    def read(self, state: Any = None) -> list[str | Path]:
        """The command that reads the tables, from a state on."""
        command: list[str | Path] = [self.command]
        command += ["--config", self._write("config.json", self.settings)]
        if self.catalog is not None:
            command += [self.catalog_option, self._write("catalog.json", self.catalog)]
        if state is not None:
            command += ["--state", self._write("state.json", state)]
        return command

    def _write(self, name: str, content: Message) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / name
        path.write_text(json.dumps(content))
        return path


def select(catalog: Message, streams: Message) -> Message:
    """A catalog in which just these streams are selected, whole.

    Args:
        streams: Id of a stream in the catalog -> more metadata, such as the replication method.
    """
    for stream in catalog["streams"]:
        more = streams.get(stream["tap_stream_id"])
        for part in stream["metadata"]:
            about = part["metadata"]
            about["selected"] = more is not None
            if not part["breadcrumb"]:
                about |= more or {}
        stream |= _top_level(more or {})
    return catalog


def _top_level(more: Message) -> Message:
    """What taps of the Meltano SDK read beside the metadata."""
    method = more.get("replication-method")
    found = {"replication_method": method} if method else {}
    if "replication-key" in more:
        found["replication_key"] = more["replication-key"]
    return found


@dataclass
class Ended:
    """What the processes of a pipeline left behind, the target's last.

    Attributes:
        codes: Exit codes in the order of the pipeline.
        logs: What each process said on its standard error.
        messages: What came to the target, by the type of the message.
    """

    codes: list[int]
    logs: list[str]
    target: TargetRun
    messages: dict[str, list[Message]] = field(default_factory=dict)

    @property
    def log(self) -> str:
        return "\n".join(self.logs)


@dataclass
class Line:
    """A sandbox and a folder with the ledger, into which pipelines run one after the other."""

    folder: Path
    apollo: Sandbox
    settings: Message = field(default_factory=dict)

    def run(self, *commands: Command, most_records: int | None = None, **settings: Any) -> Ended:
        """Runs ``commands[0] | commands[1] | … | target-apollo`` to its end.

        What the last of the commands writes passes through the test, which notes it.

        Args:
            most_records: Kills the tap when that many records have passed; no more of them pass.
        """
        self.apollo.reset_log()
        config = self._config(settings)
        out = self.folder / "state.txt"
        with ExitStack() as stack:
            processes, logs = _started(commands, self.folder, stack)
            last = stack.enter_context(_log(self.folder, len(commands)))
            target = subprocess.Popen(
                [*TARGET, "--config", str(config)],
                stdin=subprocess.PIPE,
                stdout=stack.enter_context(out.open("wb")),
                stderr=last,
                cwd=self.folder,
                env=surroundings(),
            )
            stack.callback(target.kill)
            messages = _passed(processes, target, most_records)
            codes = [process.wait(SECONDS) for process in (*processes, target)]
        said = [path.read_text(errors="replace") for path in (*logs, Path(last.name))]
        left = left_behind(self.folder, codes[-1], out.read_bytes().splitlines(), said[-1])
        return Ended(codes, said, left, messages)

    def written(self) -> dict[str, int]:
        """Endpoint -> requests of the last run that write."""
        counts: dict[str, int] = {}
        for request in self.apollo.requests:
            label = request.endpoint
            if not label.startswith("GET ") and not label.endswith(("search", "api_usage_stats")):
                counts[label] = counts.get(label, 0) + 1
        return counts

    def _config(self, settings: Message) -> Path:
        for name in ("rejects.singer", "summary.json"):
            (self.folder / name).unlink(missing_ok=True)
        path = self.folder / "config.json"
        content = {
            "api_key": self.apollo.api_key,
            "api_url": self.apollo.url,
            "state_interval_seconds": 0,
            "rejects_path": str(self.folder / "rejects.singer"),
            "summary_path": str(self.folder / "summary.json"),
            "ledger_url": f"sqlite:///{self.folder}/ledger.db",
            **self.settings,
            **settings,
        }
        path.write_text(json.dumps(content))
        return path


def _started(
    commands: Sequence[Command], folder: Path, stack: ExitStack
) -> tuple[list[subprocess.Popen[bytes]], list[Path]]:
    """The processes, each of which reads what the one before it writes, and their logs."""
    processes: list[subprocess.Popen[bytes]] = []
    logs = []
    for number, command in enumerate(commands):
        log = stack.enter_context(_log(folder, number))
        logs.append(Path(log.name))
        before = processes[-1].stdout if processes else subprocess.DEVNULL
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=before,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=folder,
            env=surroundings(),
        )
        stack.callback(process.kill)
        if processes and processes[-1].stdout is not None:
            # Otherwise a process would not notice that the next one has ended.
            processes[-1].stdout.close()
        processes.append(process)
    return processes, logs


@contextmanager
def _log(folder: Path, number: int) -> Iterator[IO[bytes]]:
    with (folder / f"process-{number}.log").open("wb") as log:
        yield log


def _passed(
    processes: Sequence[subprocess.Popen[bytes]],
    target: subprocess.Popen[bytes],
    most_records: int | None,
) -> dict[str, list[Message]]:
    """Hands on what the last process writes to the target, and notes it by type."""
    source = processes[-1].stdout
    assert source is not None
    assert target.stdin is not None
    found: dict[str, list[Message]] = {}
    try:
        for line in source:
            message = json.loads(line)
            records = found.setdefault(message["type"], [])
            if message["type"] == "RECORD" and len(records) == most_records:
                processes[0].kill()
                break
            records.append(message)
            target.stdin.write(line)
        target.stdin.close()
    except BrokenPipeError:
        # The target has ended before its input; its exit code and its log say why.
        pass
    finally:
        source.close()
    return found
