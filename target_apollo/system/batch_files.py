"""The rows of a BATCH message, which are in files: JSON lines, plain or gzip, or Parquet.

Singer SDKs send BATCH in place of many RECORDs. Its `encoding` says how the files are written, its
`manifest` names them: by `file://`, or by `s3://`. Each row is read as a line of JSON and never
more than one of them is held, so that a file may be of any size, also after it is unpacked. The
files are left where they are, as the targets of the Meltano SDK leave them.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, Final, cast
from urllib.parse import unquote, urlsplit

import msgspec

from target_apollo.system.files import open_to_read
from target_apollo.system.installation import how_to_install

#: Bytes of the longest line or row that target and mapper read, a hundred times those of a wide
#: contact. A decoded line of empty arrays takes thirty times its length in memory.
LONGEST_ROW: Final = 8 << 20
_GZIP: Final = b"\x1f\x8b"
_PIECE: Final = 1 << 20
#: Rows of a Parquet file that are in memory at the same time.
_PARQUET_ROWS: Final = 1_000
_JSON = msgspec.json.Encoder(decimal_format="number")


class UnreadableBatch(Exception):
    """Rows of a BATCH message can't be read; the message is a sentence that says what to do.

    Attributes:
        needs_person: Whether each run fails until somebody installs or sets something.
    """

    def __init__(self, sentence: str, *, needs_person: bool = False) -> None:
        super().__init__(sentence)
        self.needs_person = needs_person


@dataclass(frozen=True, slots=True)
class BatchRow:
    """A row of a BATCH file.

    Attributes:
        line: The row as JSON; empty for a line that was skipped because it is too long.
        length: Bytes of the line.
        number: Number of the line, or of the row, in its file; the first is 1.
        file: Name of the file, without its folder.
    """

    line: bytes
    length: int
    number: int
    file: str


def batch_rows(message: Mapping[str, Any], longest_line: int) -> Iterator[BatchRow]:
    """The rows of a BATCH message in their order; they need not be right JSON.

    Args:
        longest_line: Bytes of the longest line that is read; a longer one is skipped.

    Raises:
        UnreadableBatch: A file can't be read to its end, or the message does not say how.
    """
    stream, encoding, manifest = (message.get(name) for name in ("stream", "encoding", "manifest"))
    form = encoding.get("format") if isinstance(encoding, dict) else None
    if not (
        isinstance(form, str)
        and isinstance(manifest, list)
        and all(isinstance(url, str) for url in manifest)
    ):
        raise UnreadableBatch(
            f"A BATCH message of stream '{stream}' does not say which files have its rows and how "
            "they are written (manifest, encoding): mend the tap, or remove `batch_config` from "
            "its settings."
        )
    compression = encoding.get("compression") if isinstance(encoding, dict) else None
    if form != "parquet" and (form != "jsonl" or compression not in (None, "", "none", "gzip")):
        raise UnreadableBatch(
            f"Stream '{stream}' comes in BATCH files of a kind that is not read: set "
            "`batch_config.encoding` of the tap to the format jsonl and the compression gzip.",
            needs_person=True,
        )
    if form == "parquet" and find_spec("pyarrow") is None:
        raise UnreadableBatch(
            f"Stream '{stream}' comes in Parquet files: {how_to_install('parquet')}, or set "
            "`batch_config.encoding.format` of the tap to jsonl.",
            needs_person=True,
        )
    for url in manifest:
        name = unquote(url.rstrip("/").rpartition("/")[2])
        try:
            with _open(url, stream) as file:
                read = _parquet_rows if form == "parquet" else _lines
                for number, (line, length) in enumerate(read(file, longest_line), 1):
                    yield BatchRow(line, length, number, name)
        except (UnreadableBatch, MemoryError):
            raise
        except Exception as problem:  # noqa: BLE001 - pyarrow and s3fs have kinds of their own
            why = getattr(problem, "strerror", None) or _WHY.get(
                type(problem), f"it is damaged or out of reach ({type(problem).__name__})"
            )
            raise UnreadableBatch(
                f"The BATCH file {name} with rows of stream '{stream}' can't be read to its end: "
                f"{why}. STATE does not pass its rows: let the tap write it again, and see that "
                "this user may read it."
            ) from None


_WHY: Final[Mapping[type[BaseException], str]] = {
    EOFError: "it ends too early",
    gzip.BadGzipFile: "it is damaged",
    zlib.error: "it is damaged",
}


def _open(url: str, stream: object) -> BinaryIO:
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return open_to_read(Path(unquote(parts.path)))
    if parts.scheme != "s3":
        raise UnreadableBatch(
            f"A BATCH message of stream '{stream}' names a file that is neither on this machine "
            "(file:///…) nor in S3 (s3://…): set `batch_config.storage.root` of the tap to a "
            "folder that the target can read.",
            needs_person=True,
        )
    if find_spec("s3fs") is None:
        raise UnreadableBatch(
            f"Stream '{stream}' comes in BATCH files in S3: {how_to_install('s3')}, or set "
            "`batch_config.storage.root` of the tap to a folder of this machine (file:///…).",
            needs_person=True,
        )
    # Few runs need it, and it takes a tenth of a second.
    import s3fs

    return cast("BinaryIO", s3fs.S3FileSystem().open(url, "rb"))


def _lines(file: BinaryIO, longest: int) -> Iterator[tuple[bytes, int]]:
    """Lines and their lengths; a line that is longer than `longest` comes empty."""
    start = file.read(len(_GZIP))
    file.seek(0)
    source: BinaryIO = cast("BinaryIO", gzip.GzipFile(fileobj=file)) if start == _GZIP else file
    buffered = io.BufferedReader(cast("io.RawIOBase", source), _PIECE)
    while line := buffered.readline(longest + 1):
        length = len(line)
        while length > longest and not line.endswith(b"\n"):
            line = buffered.readline(_PIECE)
            if not line:
                break
            length += len(line)
        yield (b"" if length > longest else line, length)


def _parquet_rows(file: BinaryIO, longest: int) -> Iterator[tuple[bytes, int]]:
    import pyarrow.parquet

    for batch in pyarrow.parquet.ParquetFile(file).iter_batches(_PARQUET_ROWS):
        for row in batch.to_pylist():
            # Times become text, and NaN becomes null.
            line = _JSON.encode({str(name): _text(value) for name, value in row.items()})
            yield (b"" if len(line) > longest else line, len(line))


def _text(value: Any) -> Any:
    """Text that Parquet holds as bytes, as text; all other values as they are."""
    if isinstance(value, bytes):
        with suppress(UnicodeDecodeError):
            return value.decode()
    return value
