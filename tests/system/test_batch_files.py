"""The files of BATCH messages in each kind and place in which they are read."""

from __future__ import annotations

import gzip
import json
import re
import threading
from collections.abc import Iterator
from datetime import datetime, timezone
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_apollo.system import batch_files
from target_apollo.system.batch_files import UnreadableBatch, batch_rows
from target_apollo.system.installation import how_to_install

LONGEST = 1 << 20


def message(url: str, form: str = "jsonl") -> dict[str, Any]:
    return {"stream": "contacts", "encoding": {"format": form}, "manifest": [url]}


def lines(url: str, form: str = "jsonl", longest: int = LONGEST) -> list[bytes]:
    return [row.line for row in batch_rows(message(url, form), longest)]


@given(st.binary(max_size=200), st.booleans(), st.integers(1, 30))
def test_lines_come_as_they_are_and_long_ones_empty_with_their_length(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, zipped: bool, longest: int
) -> None:
    if content.startswith(b"\x1f\x8b"):
        return
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    path.write_bytes(gzip.compress(content) if zipped else content)
    found = list(batch_rows(message(path.as_uri()), longest))
    wanted = content.splitlines(keepends=True) if b"\r" not in content else None
    assert sum(row.length for row in found) == len(content)
    assert all(len(row.line) <= longest for row in found)
    assert [row.number for row in found] == list(range(1, len(found) + 1))
    if wanted is not None and not set(content) & set(b"\x0b\x0c\x1c\x1d\x1e"):
        assert [row.line or row.length for row in found] == [
            line if len(line) <= longest else len(line) for line in wanted
        ]


def test_a_queue_is_not_waited_for(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "queue")
    with pytest.raises(UnreadableBatch, match="it is a queue"):
        lines((tmp_path / "queue").as_uri())


def test_a_path_with_unusual_characters_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a b#c?%41ü.jsonl"
    path.write_bytes(b"{}\n")
    assert lines(path.as_uri()) == [b"{}\n"]


# --- Parquet


def test_the_rows_of_a_parquet_file_are_read_as_json(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "rows.parquet"
    at = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
    rows = [
        {"id": 1, "email": "zoë@a.com", "at": at, "score": Decimal("1.10"), "tags": ["a"]},
        {"id": 2, "email": None, "at": None, "score": None, "tags": []},
    ]
    table = pyarrow.Table.from_pylist(rows).append_column("fit", [[float("nan"), 2.5]])
    parquet.write_table(table, path)

    first, second = (json.loads(line) for line in lines(path.as_uri(), "parquet"))

    assert datetime.fromisoformat(first.pop("at").replace("Z", "+00:00")) == at
    assert first == {"id": 1, "email": "zoë@a.com", "score": 1.1, "tags": ["a"], "fit": None}
    assert (second["email"], second["fit"]) == (None, 2.5)


def test_what_is_no_parquet_is_called_damaged(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "rows.parquet").write_bytes(b"{}\n")
    with pytest.raises(UnreadableBatch, match=r"rows\.parquet .* it is damaged"):
        lines((tmp_path / "rows.parquet").as_uri(), "parquet")


@pytest.mark.parametrize(
    ("url", "form", "missing", "extra"),
    [
        ("file:///rows.parquet", "parquet", "pyarrow", "parquet"),
        ("s3://bucket/rows.jsonl", "jsonl", "s3fs", "s3"),
    ],
)
def test_an_extra_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, url: str, form: str, missing: str, extra: str
) -> None:
    # It may be installed where the tests run.
    monkeypatch.setattr(batch_files, "find_spec", lambda name: None if name == missing else 1)
    with pytest.raises(
        UnreadableBatch, match=re.escape(f": {how_to_install(extra)}, or")
    ) as refused:
        lines(url, form)
    assert refused.value.needs_person


# --- S3

_ROWS = gzip.compress(b'{"id": 1}\n{"id": 2}\n')


class _Bucket(BaseHTTPRequestHandler):
    """A bucket of S3 with one object, ``rows.jsonl``."""

    def _answer(self, body: bytes) -> None:
        if not self.path.startswith("/bucket/rows.jsonl"):
            self.send_response(404)
            self.end_headers()
            return
        begin, end = 0, len(body)
        if "Range" in self.headers:
            first, last = self.headers["Range"].removeprefix("bytes=").split("-")
            begin, end = int(first), min(len(body), int(last or len(body)) + 1)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(body)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(end - begin))
        self.send_header("ETag", '"1"')
        self.send_header("Last-Modified", "Sat, 31 Jan 2026 12:00:00 GMT")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[begin:end])

    def do_GET(self) -> None:
        self._answer(_ROWS)

    def do_HEAD(self) -> None:
        self._answer(_ROWS)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    fsspec = pytest.importorskip("s3fs") and pytest.importorskip("fsspec")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Bucket)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_address[1]}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "sandbox")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    fsspec.filesystem("s3").clear_instance_cache()
    yield
    server.shutdown()
    server.server_close()


@pytest.mark.full
@pytest.mark.usefixtures("bucket")
def test_files_in_s3_are_read_with_the_usual_variables() -> None:
    assert lines("s3://bucket/rows.jsonl") == [b'{"id": 1}\n', b'{"id": 2}\n']


@pytest.mark.full
@pytest.mark.usefixtures("bucket")
def test_a_file_that_s3_does_not_have_is_named() -> None:
    with pytest.raises(UnreadableBatch, match=r"other\.jsonl .* can't be read"):
        lines("s3://bucket/other.jsonl")
