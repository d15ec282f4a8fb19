"""Answers of Apollo in which one thing is altered. Pure: an answer goes in, what is sent comes out.

What is altered is a member of the JSON, the body as a whole, the status, a header or the way in
which the bytes come. The shapes are those of the answers that are given; `alterations` lists what
can be altered in one, and `Alteration.of` alters it.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

Path = tuple[str | int, ...]
#: Name of a member -> its value in the record of somebody else.
Other = Mapping[str, Any]

#: Where an answer must never send a client, and what stands in for the address of the test's trap.
TRAP = "http://trap.invalid"
LONG = "x" * 200_000
_JSON = "application/json; charset=utf-8"


@dataclass(frozen=True)
class Reply:
    """An answer.

    Attributes:
        status: Its HTTP status.
        body: The body's bytes.
        headers: Further headers, without those that say what the body is.
        content_type: Empty for none.
        length: What is said to be the length of the body; None says the truth.
        before: Bytes in front of the answer, such as an answer of 1xx.
        status_line: A status line of another form.
        raw: The bytes after the status line, in place of headers and body.
        pause: Seconds between two pieces of the answer; 0 sends all at once.
        piece: The number of bytes in a piece.
    """

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = _JSON
    length: str | None = None
    before: bytes = b""
    status_line: bytes = b""
    raw: bytes | None = None
    pause: float = 0.0
    piece: int = 1

    def encoded(self) -> bytes:
        """What goes over the wire."""
        line = self.status_line or b"HTTP/1.1 %d Answered" % self.status
        if self.raw is not None:
            return self.before + line + b"\r\n" + self.raw
        named = [(name, value) for name, value in self.headers]
        if self.content_type:
            named.append(("content-type", self.content_type))
        if self.length != "":
            named.append(("content-length", self.length or str(len(self.body))))
        head = "".join(f"{name}: {value}\r\n" for name, value in [*named, ("connection", "close")])
        return self.before + line + b"\r\n" + head.encode("latin-1") + b"\r\n" + self.body


@dataclass(frozen=True)
class Alteration:
    """One thing that is altered in the answers of an endpoint.

    Attributes:
        endpoint: Its label, such as ``PATCH /contacts/{id}``.
        kind: What becomes of the thing, by its name in one of the tables of this module.
        path: The member of the JSON; None where the answer as a whole is altered.
    """

    endpoint: str
    kind: str
    path: Path | None = None

    def __str__(self) -> str:
        where = "" if self.path is None else f"{'.'.join(map(str, self.path)) or 'the whole'}: "
        return f"{self.endpoint}: {where}{self.kind}"

    @property
    def member(self) -> str:
        """The name of the member, without its place."""
        return next((part for part in reversed(self.path or ()) if isinstance(part, str)), "")

    def of(self, reply: Reply, other: Other) -> Reply | None:
        """The altered answer; None where this answer has nothing of the kind.

        Args:
            reply: The answer.
            other: The record of somebody else, of the kind that the endpoint answers.
        """
        if self.path is None:
            return _with(reply, **WHOLE[self.kind](reply))
        try:
            value = json.loads(reply.body)
            body = _encoded(_altered(value, self.path, self.kind, other))
        except (ValueError, LookupError, TypeError):
            return None
        return None if body == _encoded(value) else _with(reply, body=body)


def alterations(endpoint: str, reply: Reply) -> Iterator[Alteration]:
    """All that can be altered in an answer of an endpoint."""
    for kind in WHOLE:
        yield Alteration(endpoint, kind)
    try:
        value = json.loads(reply.body)
    except ValueError:
        return
    for path in members(value):
        for kind in kinds_at(value, path):
            yield Alteration(endpoint, kind, path)


def members(value: Any, path: Path = ()) -> Iterator[Path]:
    """The paths to all members of a value, itself included; of a list, those of its first item."""
    yield path
    if isinstance(value, dict):
        for name, part in value.items():
            yield from members(part, (*path, name))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        yield from members(value[0], (*path, 0))


def kinds_at(value: Any, path: Path) -> Iterator[str]:
    """The names of the alterations that fit a member."""
    yield from VALUES
    if path and isinstance(path[-1], str):
        yield from MEMBERS
    here = _at(value, path)
    if isinstance(here, list):
        yield from LISTS


def covering(
    found: Iterable[Alteration], read: frozenset[str], chance: random.Random
) -> list[Alteration]:
    """A sample of alterations in which everything occurs, though not with everything else.

    Each member that somebody reads meets each kind of value, on each endpoint one; each other
    member and each endpoint meets some kind; each alteration of a whole answer strikes an endpoint
    that reads and one that writes.

    Args:
        found: What there is to choose from.
        read: Names of members that somebody reads.
        chance: Decides what is taken.
    """
    mixed = sorted(found, key=str)
    chance.shuffle(mixed)
    seen: set[tuple[object, str]] = set()
    sample = []
    for one in mixed:
        if one.path is None:
            pairs = {(one.endpoint.startswith("GET "), one.kind)}
        elif one.member in read or not one.path:
            pairs = {(one.endpoint, one.member), (one.member, one.kind)}
        else:
            pairs = {("", one.member), (one.endpoint, one.kind)}
        if not pairs <= seen:
            sample.append(one)
        seen |= pairs
    return sample


# --- values in place of a member's

#: A member that is not there.
_ABSENT = object()


@dataclass(frozen=True)
class _Raw:
    """JSON, or what looks like it, that is written as it stands."""

    text: str


@dataclass(frozen=True)
class _Twice:
    """A member whose name stands twice in its object."""

    first: Any
    last: Any


_CONTROLS = "a\x00\x1b[2J\r\nb\x7f\u202e\u2028\ufeff"

#: Name of an alteration -> the value in place of the one that was there.
VALUES: dict[str, Callable[[Any], Any]] = {
    "null": lambda _: None,
    "empty": lambda _: "",
    "a blank": lambda _: " ",
    "a number": lambda _: 7,
    "below zero": lambda _: -1,
    "a huge number": lambda _: _Raw("9" * 400),
    "beyond every number": lambda _: _Raw("1e999"),
    "NaN": lambda _: _Raw("NaN"),
    "true": lambda _: True,
    "a list": lambda _: [],
    "an object": lambda _: {},
    "an object with an id": lambda _: {"id": "f" * 24},
    "very long": lambda _: LONG,
    "control characters": lambda _: _CONTROLS,
    "a lone surrogate": lambda _: _Raw('"a\\ud800b"'),
    "a path": lambda _: "../../labels",
    "an address": lambda _: "https://eve:secret@evil.example/?a=b#c",
    "an e-mail": lambda _: "eve@evil.example",
    "a formula": lambda _: "=1+1",
    "an id of nothing": lambda _: "f" * 24,
    "in a list": lambda value: [value],
    "in a text": lambda value: json.dumps(value),
    "in upper case": lambda value: value.upper() if isinstance(value, str) else str(value),
    "with a blank": lambda value: f" {value} ",
    "nested deeply": lambda _: _Raw("[" * 10_000 + "]" * 10_000),
}
#: Name of an alteration -> what becomes of (value, value of the neighbour, of somebody else).
MEMBERS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "absent": lambda *_: _ABSENT,
    "somebody else's": lambda _value, _neighbour, other: other,
    "the neighbour's": lambda _value, neighbour, _other: neighbour,
    "twice, another last": lambda value, _neighbour, other: _Twice(value, other),
    "twice, another first": lambda value, _neighbour, other: _Twice(other, value),
}
#: Name of an alteration -> what becomes of (list, the record of somebody else).
LISTS: dict[str, Callable[[list[Any], Other], list[Any]]] = {
    "reversed": lambda items, _: items[::-1],
    "without its first": lambda items, _: items[1:],
    "twice": lambda items, _: items * 2,
    "with somebody else": lambda items, other: [*items, dict(other)],
    "somebody else alone": lambda _, other: [dict(other)],
    "with null": lambda items, _: [None, *items],
    "with a text": lambda items, _: [*items, "f" * 24],
    "with a list": lambda items, _: [*items, []],
    "with an empty object": lambda items, _: [*items, {}],
    "ten thousand": lambda items, other: [*items, *[{"id": f"{n:024x}"} for n in range(10_000)]],
}


def _altered(value: Any, path: Path, kind: str, other: Other) -> Any:
    if kind in VALUES:
        return _replaced(value, path, VALUES[kind](_at(value, path)))
    if kind in LISTS:
        return _replaced(value, path, LISTS[kind](_at(value, path), other))
    # Only a record of a list has a neighbour.
    neighbour = _neighbours(value, path) if kind == "the neighbour's" else None
    here = _at(value, path)
    return _replaced(value, path, MEMBERS[kind](here, neighbour, _others(path, other)))


def _others(path: Path, other: Other) -> Any:
    return other.get(str(path[-1]), "f" * 24)


def _neighbours(value: Any, path: Path) -> Any:
    """The same member of the next record in the list."""
    for depth in range(len(path) - 1, -1, -1):
        if isinstance(path[depth], int):
            return _at(value, (*path[:depth], int(path[depth]) + 1, *path[depth + 1 :]))
    raise LookupError("no list holds it")


def _at(value: Any, path: Path) -> Any:
    for part in path:
        value = value[part]
    return value


def _replaced(value: Any, path: Path, new: Any) -> Any:
    """A copy of a value with another member at a path."""
    if not path:
        return new
    part, rest = path[0], path[1:]
    inner = _replaced(value[part], rest, new)
    if isinstance(value, list):
        return [inner if number == part else item for number, item in enumerate(value)]
    return {name: inner if name == part else item for name, item in value.items()}


def _encoded(value: Any) -> bytes:
    return _text(value).encode("utf-8", "surrogatepass")


def _text(value: Any) -> str:
    if isinstance(value, _Raw):
        return value.text
    if isinstance(value, dict):
        pairs: list[str] = []
        for name, part in value.items():
            parts = (part.first, part.last) if isinstance(part, _Twice) else (part,)
            pairs += [f"{json.dumps(name)}:{_text(one)}" for one in parts if one is not _ABSENT]
        return f"{{{','.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{','.join(map(_text, value))}]"
    return json.dumps(value)


# --- the answer as a whole


def _with(reply: Reply, **changes: Any) -> Reply:
    return Reply(**{**vars(reply), **changes})


_Whole = Callable[[Reply], dict[str, Any]]

STATUSES = (
    *(203, 204, 206, 226, 299, 300, 304, 306, 400, 402, 404, 405, 406, 407, 408, 409, 410, 411),
    *(412, 413, 415, 418, 421, 422, 423, 425, 426, 428, 431, 451, 499, 500, 501, 502, 503, 504),
    *(505, 507, 511, 520, 522, 524, 529, 530, 599, 600, 999),
)
_STOPS = (401, 403, 429)
_REDIRECTS = (301, 302, 303, 307, 308)
_ERRORS: dict[str, Any] = {
    "null": None,
    "a list": ["wrong"],
    "a number": 5,
    "very long": {"error": LONG, "message": LONG},
    "control characters": {"error": _CONTROLS, "error_code": _CONTROLS},
    "an e-mail": {"error": "eve@evil.example is taken", "error_code": "eve@evil.example"},
    "objects": {"error": {"a": [1]}, "message": {}, "error_code": [], "error_details": "x"},
    "nulls": dict.fromkeys(["error", "message", "error_code", "error_details"]),
    "odd details": {"error": "x", "error_details": {"contact_id": 5, "field": [], "message": {}}},
    "odd ids": {"error": "x", "deleted_contact_ids": [None, 5, "", LONG, {"a": 1}]},
    "ids in no list": {"error": "x", "deleted_contact_ids": "f" * 24, "deleted_account_ids": {}},
    "a strange id": {"error": f"Parameters misconfigured. {'f' * 24} is not a valid ID"},
    "not a valid ID": {"error": "Parameters misconfigured.  is not a valid ID"},
    "a job": {"entity_progress_job": {"id": "f" * 24}},
}
_RETRY_AFTER = {
    "negative": "-5",
    "a word": "soon",
    "empty": "",
    "huge": "9" * 30,
    "NaN": "nan",
    "infinite": "inf",
    "a fraction": "0.01",
    "a date long past": "Mon, 01 Jan 1990 00:00:00 GMT",
    "a date far ahead": "Fri, 31 Dec 9999 23:59:59 GMT",
    "no date": "Mon, 99 Foo 2026 99:99:99 GMT",
    "a list": "1, 2",
    "other digits": "\xb2",
}
_RATE_HEADERS = tuple(
    f"x-{name}"
    for window in ("minute", "hourly", "24-hour")
    for name in (f"rate-limit-{window}", f"{window}-usage", f"{window}-requests-left")
)
_RATES = {"negative": "-5", "garbage": "a;b", "huge": "9" * 30, "empty": "", "a fraction": "1.5"}
_BODIES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "blanks": lambda _: b"  \n ",
    "a page": lambda _: b"<html><body>Who are you? eve@evil.example</body></html>",
    "half": lambda body: body[: len(body) // 2],
    "without its last byte": lambda body: body[:-1],
    "twice": lambda body: body * 2,
    "with more behind": lambda body: body + b" x",
    "with a mark in front": lambda body: b"\xef\xbb\xbf" + body,
    "UTF-16": lambda body: body.decode().encode("utf-16"),
    "UTF-32": lambda body: body.decode().encode("utf-32-le"),
    "not UTF-8": lambda body: body.replace(b'"', b'"\xff', 1),
    "NUL bytes": lambda _: b"\x00" * 100,
    "in single quotes": lambda body: body.replace(b'"', b"'"),
    "with a script in front": lambda body: b")]}',\n" + body,
    "in an envelope": lambda body: b'{"data":' + body + b"}",
    "nested deeply": lambda _: b"[" * 10_000 + b"]" * 10_000,
    "a deep object": lambda _: b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "ten thousand names": lambda _: json.dumps({f"n{n}": n for n in range(10_000)}).encode(),
}


def _headers(*named: tuple[str, str]) -> _Whole:
    """Adds headers, in place of those of the same name."""
    names = {name for name, _ in named}
    return lambda reply: {
        "headers": (*(one for one in reply.headers if one[0] not in names), *named)
    }


def _error(status: int, body: Any) -> dict[str, Any]:
    return {"status": status, "body": json.dumps(body).encode()}


def _bomb(_: Reply) -> dict[str, Any]:
    content = gzip.compress(gzip.compress(b" " * 50_000_000, 1), 1)
    return {"body": gzip.decompress(content), "headers": (("content-encoding", "gzip"),)}


def _chunked(reply: Reply, size: bytes, end: bytes) -> dict[str, Any]:
    head = b"content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    return {"raw": head + size + b"\r\n" + reply.body + b"\r\n" + end}


def _changed(**changes: Any) -> _Whole:
    return lambda _: changes


def _redirect(status: int, target: str) -> _Whole:
    return lambda reply: {"status": status, "headers": (*reply.headers, ("location", target))}


def _whole() -> Iterator[tuple[str, _Whole]]:
    for name, change in _BODIES.items():
        yield f"body {name}", (lambda reply, change=change: {"body": change(reply.body)})
    for status in (*STATUSES, *_STOPS):
        yield f"status {status}", _changed(status=status)
    for name, body in _ERRORS.items():
        for status in (400, 404, 422):
            yield f"{status} with {name}", partial(lambda _, s, b: _error(s, b), s=status, b=body)
    for status in (401, 403, 500):
        odd = _error(status, {"error": {"a": LONG}, "error_code": 5})
        yield f"{status} with an odd body", _changed(**odd)
    for name, value in _RETRY_AFTER.items():
        for status in (429, 503):
            named = _headers(("retry-after", value))
            yield (
                f"{status} with Retry-After {name}",
                partial(lambda reply, s, n: {"status": s, **n(reply)}, s=status, n=named),
            )
    for name, value in _RATES.items():
        yield f"rate headers {name}", _headers(*((header, value) for header in _RATE_HEADERS))
    yield "no rate headers", lambda _: {"headers": ()}
    yield "nothing left", _headers(*((h, "0") for h in _RATE_HEADERS if h.endswith("left")))
    for kind in ("", "text/html", "text/plain", "application/octet-stream", ";;;", "x" * 9000):
        yield f"content type {kind[:30] or 'missing'}", _changed(content_type=kind)
    yield "another charset", _changed(content_type="application/json; charset=utf-16")
    for coding in ("gzip", "deflate", "br", "zstd", "odd", "gzip, gzip"):
        yield f"said to be {coding}", _headers(("content-encoding", coding))
    yield "a bomb", _bomb
    yield "gzip cut off", lambda reply: {
        "body": gzip.compress(reply.body)[:-12], "headers": (("content-encoding", "gzip"),)
    }  # fmt: skip
    for length in ("0", "5", "-1", "abc", "99999999", "1e3"):
        yield f"content length {length}", _changed(length=length)
    yield (
        "two content lengths",
        lambda reply: {"headers": (*reply.headers, ("content-length", "5"))},
    )
    yield "no content length", _changed(length="")
    yield "chunks", lambda reply: _chunked(reply, b"%x" % len(reply.body), b"0\r\n\r\n")
    yield "no last chunk", lambda reply: _chunked(reply, b"%x" % len(reply.body), b"")
    yield "odd chunks", lambda reply: _chunked(reply, b"zz", b"0\r\n\r\n")
    yield "negative chunks", lambda reply: _chunked(reply, b"-5", b"0\r\n\r\n")
    yield "chunks too long", lambda reply: _chunked(reply, b"f" * 30, b"0\r\n\r\n")
    for number in (100, 102, 103):
        early = b"HTTP/1.1 %d Wait\r\nlink: </a>\r\n\r\n" % number
        yield f"{number} before it", _changed(before=early)
        yield f"many {number} before it", _changed(before=early * 20)
    yield "a blank line before it", _changed(before=b"\r\n")
    yield "101", _changed(raw=b"upgrade: h2c\r\nconnection: upgrade\r\n\r\n", status=101)
    for line in (b"HTTP/1.0 200 OK", b"HTTP/9.9 200 OK", b"ICY 200 OK", b"HTTP/1.1 20", b"",
                 b"HTTP/1.1 200 \xff\x1b[2J", b"HTTP/1.1 99999 OK", b"HTTP/1.1 -20 OK",
                 b"HTTP/1.1 200 " + b"x" * 70_000):  # fmt: skip
        yield f"status line {line[:20]!r}", _changed(status_line=line or b"\x00\x01")
    yield "a header without a colon", _changed(raw=b"odd\r\n\r\n{}")
    yield "a header of 100 kB", _headers(("x-odd", "x" * 100_000))
    yield "a thousand headers", _headers(*((f"x-odd-{n}", "1") for n in range(1000)))
    yield "controls in a header", _headers(("x-odd", "\x1b[2J\x00\xff eve@evil.example"))
    yield "cookies", _headers(("set-cookie", "a=b; Domain=evil.example; Path=/"))
    for status in _REDIRECTS:
        yield f"{status} elsewhere", _redirect(status, f"{TRAP}/api/v1/contacts")
    yield "307 to itself", _redirect(307, "")
    yield "307 into a loop", _redirect(307, "/api/v1/labels")
    yield "308 to a file", _redirect(308, "file:///etc/passwd")
    yield "302 to no address", _redirect(302, "http://[")
    yield "200 with Location", _headers(("location", f"{TRAP}/"))


#: Name of an alteration -> the changes to a `Reply`.
WHOLE: dict[str, _Whole] = dict(_whole())
#: Those that take seconds, since they are about time.
SLOW: dict[str, _Whole] = {
    "the body byte by byte": _changed(pause=0.4),
    "silence": _changed(raw=b"content-length: 5\r\n\r\n", pause=100.0, piece=10_000),
    "1xx without end": lambda _: {
        "before": b"HTTP/1.1 102 Wait\r\n\r\n" * 500, "pause": 0.2, "piece": 23
    },
    "headers without end": lambda _: {
        "raw": b"".join(b"x-%d: 1\r\n" % n for n in range(2000)), "pause": 0.2, "piece": 8
    },
}  # fmt: skip


def slow_alteration(endpoint: str, kind: str, reply: Reply) -> Reply:
    """An answer that comes in pieces, by the name of a kind in `SLOW`."""
    return _with(reply, **SLOW[kind](reply))
