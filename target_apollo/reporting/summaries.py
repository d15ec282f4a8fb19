"""The summary files of past runs: their format, and reading the newest of a folder.

Keys that the first version did not write are optional, so that older files stay readable. A file
in another format is not a summary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec

from target_apollo.system.files import check_read

#: Where a run leaves its summary if the setting `summary_path` is empty.
DEFAULT_FOLDER = Path(".target-apollo/runs")
_SUFFIX = ".json"
#: Bytes of the largest possible summary; a larger file is not read.
_LARGEST = 16 * 1024 * 1024

Count = Annotated[int, msgspec.Meta(ge=0)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Stream(msgspec.Struct, frozen=True):
    """Outcomes of one stream's records."""

    created: Count = 0
    updated: Count = 0
    unchanged: Count = 0
    existing: Count = 0
    skipped: Count = 0
    rejected: Count = 0
    rejected_because: dict[str, Count] = {}

    @property
    def settled(self) -> int:
        """Records that have an outcome."""
        return sum((self.written, self.unchanged, self.existing, self.skipped, self.rejected))

    @property
    def written(self) -> int:
        """Records that a request wrote."""
        return self.created + self.updated

    @property
    def in_apollo(self) -> int:
        """Records that Apollo has now, whoever wrote them."""
        return self.written + self.unchanged + self.existing


class Window(msgspec.Struct, frozen=True):
    """Requests allowed, made and left in a minute, an hour or a day; None if not told."""

    limit: int | None = None
    usage: int | None = None
    left: int | None = None


class Windows(msgspec.Struct, frozen=True):
    """The three rate windows of one endpoint, as its last answer told them."""

    minute: Window = Window()
    hour: Window = Window()
    day: Window = Window()


class Api(msgspec.Struct, frozen=True):
    """Requests to Apollo, and how they fared."""

    requests: dict[str, Count] = {}
    retries: Count = 0
    rate_limited: Count = 0
    seconds_waited: float = 0.0
    quota: dict[str, Windows] = {}


class Estimate(msgspec.Struct, frozen=True):
    """The estimate made before the first write.

    Attributes:
        requests: Writing requests by endpoint.
        seconds: How long the real run would take; None without a dry run, or if unknown.
        takes_several_runs: Whether Apollo's limits would stop the run before its end.
    """

    requests: dict[str, Count] = {}
    seconds: float | None = None
    takes_several_runs: bool = False


class CauseOfRejects(msgspec.Struct, frozen=True):
    """Why some rejected records could not be written, and how many."""

    column: str = ""
    sentence: str = ""
    answer: str = ""
    number: Count = 0


class Duplicate(msgspec.Struct, frozen=True):
    """Source keys that share an e-mail address or a domain."""

    stream: str
    keys: tuple[str, ...] = ()
    kind: str = ""


class Duplicates(msgspec.Struct, frozen=True):
    """The number of groups of duplicates, and the first groups."""

    found: Count = 0
    listed: tuple[Duplicate, ...] = ()


class IdentityRows(msgspec.Struct, frozen=True):
    """Rows of one verdict on whose record they are, and the first of their keys."""

    count: Count = 0
    keys: tuple[str, ...] = ()


class Difference(msgspec.Struct, frozen=True):
    """A field that a real run would change."""

    stream: str
    key: str
    field: str
    apollo_id: str | None = None
    apollo: Any = None
    new: Any = None


class Summary(msgspec.Struct, frozen=True):
    """A run's summary file."""

    run_id: str
    started_at: Moment
    ended_at: Moment
    seconds: float
    exit_code: int
    records: dict[str, int]
    streams: dict[str, Stream]
    ended_because: str = ""
    api: Api = Api()
    duplicates: Duplicates = Duplicates()
    left_out: dict[str, Count] = {}
    rejected_before: dict[str, Count] = {}
    rejected_causes: dict[str, dict[str, tuple[CauseOfRejects, ...]]] = {}
    unknown_fields: dict[str, tuple[str, ...]] = {}
    not_writable: dict[str, dict[str, Count]] = {}
    team: str | None = None
    mode: str | None = None
    dry_run: bool = False
    max_records: int | None = None
    protected: dict[str, dict[str, Count]] = {}
    unresolved: dict[str, dict[str, Count]] = {}
    deleted: dict[str, Count] = {}
    removed: dict[str, Count] = {}
    returned: dict[str, Count] = {}
    to_follow: dict[str, Count] = {}
    follow_from: Moment | None = None
    followed: dict[str, Count] = {}
    not_followed: dict[str, Count] = {}
    identity: dict[str, dict[str, IdentityRows]] = {}
    estimate: Estimate | None = None
    diffs: tuple[Difference, ...] | None = None


_decoder = msgspec.json.Decoder(Summary)


@dataclass(frozen=True)
class SummaryFiles:
    """The summaries of a folder, and a sentence on each file that is not one."""

    summaries: Sequence[Summary] = ()
    skipped: Sequence[str] = ()


def latest(summary_path: str, limit: int, run_id: str | None = None) -> SummaryFiles:
    """Reads the summaries of the runs that ended last.

    Args:
        summary_path: The setting; empty for the default folder. Other files in the folder with the
            same suffix are read too, since the path may contain a date.
        limit: Most summaries to read; older files are not opened.
        run_id: A run whose summary is read too, however old it is.
    """
    summaries: list[Summary] = []
    skipped: list[str] = []
    wanted = run_id
    for path in _newest_first(summary_path):
        if len(summaries) >= limit and wanted is None:
            break
        if len(summaries) >= limit and _names_another(path, summary_path, wanted):
            continue
        read = _read(path)
        if isinstance(read, str):
            skipped.append(read)
            continue
        if len(summaries) < limit or read.run_id == wanted:
            summaries.append(read)
        if read.run_id == wanted:
            wanted = None
    return SummaryFiles(summaries, skipped)


def _names_another(path: Path, summary_path: str, run_id: str | None) -> bool:
    # In the default folder a file is named after its run.
    return not summary_path and path.stem != run_id


def _newest_first(summary_path: str) -> Iterator[Path]:
    example = Path(summary_path) if summary_path else DEFAULT_FOLDER / f"run{_SUFFIX}"
    if not example.suffix:
        return iter([example] if example.is_file() else [])
    files = [path for path in example.parent.glob(f"*{example.suffix}") if path.is_file()]
    return iter(sorted(files, key=_written_at, reverse=True))


def _written_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        # Renamed or removed a moment ago: `_read` reports it.
        return 0


def _read(path: Path) -> Summary | str:
    try:
        check_read(path)
        if path.stat().st_size > _LARGEST:
            return f"{path} is too large for the summary of a run; it is left out."
        return _decoder.decode(path.read_bytes())
    except OSError as problem:
        return f"{path} can't be read ({problem.strerror}); it is left out."
    except msgspec.ValidationError:
        return f"{path} is not the summary of a run; it is left out."
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return f"{path} is no whole JSON file; it is left out."
