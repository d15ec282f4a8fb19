"""`meltano config test` has an answer, and writes nothing into Apollo."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from target_apollo.demo.meltano import ROOT, executable
from target_apollo.sandbox import Sandbox
from tests.promises.conftest import Message, TargetRun

Sync = Callable[..., TargetRun]

#: What Meltano sends to a loader: `LoaderTestService` in its `core/plugin_test_service.py`.
TEST: list[Message] = [
    {
        "type": "SCHEMA",
        "stream": "meltano_test_stream",
        "schema": {
            "type": "object",
            "properties": {
                "id": {"type": "integer"},
                "name": {"type": "string"},
                "created_at": {"type": "string", "format": "date-time"},
            },
        },
        "key_properties": ["id"],
    },
    {
        "type": "RECORD",
        "stream": "meltano_test_stream",
        "record": {"id": 1, "name": "Meltano Test Record", "created_at": "2025-09-29T00:00:00Z"},
    },
    {"type": "STATE", "value": {"bookmarks": {"meltano_test_stream": {"last_record": 1}}}},
]


def test_the_loader_answers_meltanos_test_and_writes_nothing(apollo: Sandbox, sync: Sync) -> None:
    run = sync(TEST, streams={"crm-contacts": {"mode": "insert"}})

    assert run.exit_code == 0, run.log
    assert "Apollo knows the credentials, the settings can be followed" in run.log
    assert not apollo.store.contacts()
    assert not apollo.store.accounts()
    # Meltano takes each line with one of these words for a failure.
    assert not re.search("error|exception", run.log, re.IGNORECASE)
    assert "WARNING" not in run.log


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"api_key": "wrong"}, "check the setting api_key"),
        ({"field_policy": {"titel": "never"}}, "did you mean 'title' for 'titel'?"),
        ({"on_delete": "stage:Intrested"}, "The setting 'on_delete' can't be followed"),
    ],
)
def test_it_refuses_what_a_run_would_refuse(sync: Sync, settings: dict[str, Any], why: str) -> None:
    run = sync(TEST, **settings)

    assert run.exit_code == 2
    assert why in run.log


@pytest.mark.full
def test_what_meltano_says_of_each_plugin(apollo: Sandbox, tmp_path: Path) -> None:
    shipped = yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))["plugins"]
    own: dict[str, list[Message]] = {}
    for kind, name in (
        ("extractors", "tap-apollo-sync"),
        ("loaders", "target-apollo"),
        ("mappers", "map-apollo-leads"),
    ):
        plugin = next(one for one in shipped[kind] if one["name"] == name)
        plugin.pop("pip_url", None)
        plugin["executable"] = str(Path(sys.executable).with_name(name))
        if kind != "mappers":
            plugin["config"] = {"api_key": "sandbox", "api_url": apollo.url}
        own[kind] = [plugin]
    project = {"send_anonymous_usage_stats": False, "plugins": own}
    (tmp_path / "meltano.yml").write_text(yaml.safe_dump(project), encoding="utf-8")

    def test(plugin: str) -> tuple[int, str]:
        kept = {one: text for one, text in os.environ.items() if "MELTANO" not in one}
        done = subprocess.run(
            [executable(), "config", "test", plugin],
            cwd=tmp_path,
            env={**kept, "MELTANO_CLI_DISABLE_VERSION_CHECK": "true", "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    # There is no result of a run yet: the first stream is empty, and users come next.
    code, told = test("tap-apollo-sync")
    assert (code, "Plugin configuration is valid" in told) == (0, True), told
    # Meltano 4.4.1 ends by a defect of its own after each loader that has ended by itself.
    code, told = test("target-apollo")
    assert code == 0 or "ProcessLookupError" in told, told
    assert not apollo.store.contacts()
    assert apollo.count("GET /users/api_profile") > 0
    code, told = test("map-apollo-leads")
    assert (code, "not supported for mapper" in told) == (1, True), told
