"""The leads in the files of BATCH messages are judged, and go on as RECORDs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from target_apollo.mapper import pipeline as pipelines
from target_apollo.mapper.errors import InputError, SettingsError
from target_apollo.mapper.mapper import MapApolloLeads
from target_apollo.mapper.pipeline import Pipeline
from tests.helpers.leads import NOW, Message, config, encode, lead, pipeline, schema

STATE: Message = {"type": "STATE", "value": {"bookmarks": {}}}


def batch(folder: Path, *rows: Message | bytes, **more: object) -> Message:
    path = folder / "leads.jsonl"
    path.write_bytes(
        b"".join(
            (one if isinstance(one, bytes) else json.dumps(one).encode()) + b"\n" for one in rows
        )
    )
    encoding = {"format": "jsonl"}
    head = {"type": "BATCH", "stream": "leads", "encoding": encoding}
    return {**head, "manifest": [path.as_uri()], **more}


def process(mapper: Pipeline, *messages: Message) -> list[bytes]:
    blocks = mapper.expanded([encode(message) for message in messages])
    return [line for block in blocks for line in mapper.process_lines(block)]


def test_the_leads_of_a_file_are_judged_and_go_on_as_records(tmp_path: Path) -> None:
    sent = batch(tmp_path, lead(id=1), lead(id=2, stage="Cold"), lead(id=3), version=7)
    mapper = pipeline()
    out = [json.loads(line) for line in process(mapper, schema(), sent, STATE)]
    assert [one["type"] for one in out] == ["SCHEMA", "RECORD", "RECORD", "STATE"]
    assert [one["record"]["id"] for one in out[1:3]] == [1, 3]
    assert {one["version"] for one in out[1:3]} == {7}
    assert (mapper.counts["BATCH"], mapper.counts["RECORD"]) == (1, 3)


def test_a_number_of_a_row_keeps_its_digits(tmp_path: Path) -> None:
    row = json.dumps(lead())[:-1].encode() + b', "price": 1.10, "big": 12345678901234567890}'
    out = process(pipeline(), schema(), batch(tmp_path, row))
    assert b'"price": 1.10, "big": 12345678901234567890}' in out[1]


def test_a_row_that_is_no_object_goes_on_for_the_target_to_reject(tmp_path: Path) -> None:
    # The third would be a whole message of another stream if it were put into a RECORD as it is.
    bad = [b"{no json", b"[5]", b'{},"stream":"contacts","record":{"id":9}']
    out = process(pipeline(), schema(), batch(tmp_path, *bad, lead(id=2)))
    assert out[1:4] == bad
    assert json.loads(out[4])["record"]["id"] == 2


def test_batch_files_of_other_streams_go_on_as_they_are(tmp_path: Path) -> None:
    other = batch(tmp_path, lead(), stream="contacts")
    assert process(pipeline(), schema(), other)[1] == encode(other)


def test_a_file_of_many_rows_goes_on_in_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipelines, "BLOCK", 2_000)
    sent = encode(batch(tmp_path, *[lead(id=n) for n in range(100)]))
    blocks = list(pipeline().expanded([sent]))
    assert len(blocks) > 5
    assert max(sum(map(len, block)) for block in blocks) < 3_000
    assert sum(map(len, blocks)) == 100


def test_a_file_that_can_not_be_read_ends_the_run(tmp_path: Path) -> None:
    gone = batch(tmp_path, manifest=[(tmp_path / "gone.jsonl").as_uri()])
    with pytest.raises(InputError, match=r"gone\.jsonl .* can't be read to its end: No such file"):
        process(pipeline(), schema(), gone)
    with pytest.raises(SettingsError, match="batch_config"):
        process(pipeline(), schema(), batch(tmp_path, encoding={"format": "avro"}))


def test_callers_with_decoded_messages_get_the_rows_too(tmp_path: Path) -> None:
    mapper = MapApolloLeads(config=config())
    list(mapper.map_schema_message(schema()))
    found = [one.to_dict() for one in mapper.map_batch_message(batch(tmp_path, lead(id=5)))]
    assert [one["record"]["id"] for one in found] == [5]


def test_the_mapper_as_a_process_passes_no_state_over_a_file_that_is_missing(
    tmp_path: Path,
) -> None:
    settings = tmp_path / "config.json"
    settings.write_text(json.dumps(config()))
    command = [str(Path(sys.executable).with_name("map-apollo-leads")), "--config", str(settings)]
    good = batch(tmp_path, lead(id=1))
    gone = {**good, "manifest": [(tmp_path / "gone").as_uri()]}
    sent = b"".join(encode(one) + b"\n" for one in (schema(), good, gone, STATE))
    done = subprocess.run(
        command,
        input=sent,
        capture_output=True,
        timeout=60,
        check=False,
        env={"MAP_APOLLO_LEADS_NOW": NOW.isoformat()},
    )
    assert done.returncode == 1
    assert b'"STATE"' not in done.stdout
    assert b"can't be read to its end" in done.stderr
    assert b"Traceback" not in done.stderr
