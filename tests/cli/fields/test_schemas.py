from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from target_apollo.cli.fields.catalog import StreamSchema, read_catalog, read_schemas
from target_apollo.config.settings import SettingsError

TEXT = {"type": "string"}


def entry(**more: Any) -> dict[str, Any]:
    return {
        "tap_stream_id": "crm-contacts",
        "stream": "contacts",
        "schema": {"properties": {"id": TEXT, "tier": TEXT, "updated_at": TEXT}},
        **more,
    }


def selected(*place: str, **about: Any) -> dict[str, Any]:
    return {"breadcrumb": list(place), "metadata": about}


def catalog(path: Path, *entries: Any) -> str:
    path.write_text(json.dumps({"streams": list(entries)}))
    return str(path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "given.json"


def test_a_catalog_tells_streams_properties_key_and_bookmark(file: Path) -> None:
    about = selected(**{"table-key-properties": ["id"], "replication-key": "updated_at"})
    properties = {"id": TEXT, "tier": TEXT, "updated_at": TEXT}
    wanted = [StreamSchema("crm-contacts", properties, frozenset({"id", "updated_at"}))]
    assert read_catalog(catalog(file, entry(metadata=[about]))) == wanted
    said = entry(key_properties=["id"], replication_key="updated_at")
    assert read_catalog(catalog(file, said)) == wanted


def test_what_is_deselected_is_not_wanted(file: Path) -> None:
    path = catalog(
        file,
        entry(metadata=[selected(selected=False)]),
        entry(
            tap_stream_id="crm-accounts",
            metadata=[
                selected(selected=True),
                selected("properties", "tier", selected=False),
                selected("properties", "updated_at", inclusion="unsupported"),
            ],
        ),
    )
    assert read_catalog(path) == [StreamSchema("crm-accounts", {"id": TEXT})]


def test_the_schema_messages_of_a_tap_s_output_tell_the_same(file: Path) -> None:
    lines = [
        '{"type":"RECORD","stream":"contacts","record":',
        json.dumps({"type": "SCHEMA", "stream": "contacts", "schema": {"properties": {}},
                    "key_properties": ["id"]}),
        json.dumps({"type": "RECORD", "stream": "contacts", "record": {"name": "SCHEMA"}}),
        json.dumps({"type": "SCHEMA", "stream": "contacts", "key_properties": ["id"],
                    "bookmark_properties": ["at"], "schema": {"properties": {"tier": TEXT}}}),
    ]  # fmt: skip
    file.write_text("\n".join(lines))
    assert read_schemas(str(file)) == [
        StreamSchema("contacts", {"tier": TEXT}, frozenset({"id", "at"}))
    ]


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps({"streams": [entry()]})))
    assert [stream.name for stream in read_catalog("-")] == ["crm-contacts"]


def test_half_a_character_in_a_name_is_another_character(file: Path) -> None:
    odd = {"streams": [{"stream": "x", "schema": {"properties": {"a\ud800": TEXT}}}]}
    file.write_text(json.dumps(odd))
    assert read_catalog(str(file))[0].properties == {"a\ufffd": TEXT}


@pytest.mark.parametrize("read", [read_catalog, read_schemas])
@pytest.mark.parametrize(
    "content",
    [None, b"\xff\xfe\x00S", b'{"SCHEMA"', b"[]", b'{"streams": [{"stream": 5, "schema": 7}]}',
     b'{"type": "SCHEMA"}', b'{"type": "SCHEMA", "stream": "x", "schema": []}', b'["SCHEMA"]', b"",
     b'{"streams": []}'],
)  # fmt: skip
def test_what_can_not_be_read_is_a_sentence_without_its_content(
    read: Any, content: bytes | None, file: Path
) -> None:
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError) as refused:
        read(str(file))
    (sentence,) = refused.value.problems
    assert str(file) in sentence
    assert sentence.endswith(".")
