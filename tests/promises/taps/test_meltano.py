"""`meltano run` of a tap and a mapper that others wrote, in a project that is not this one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from target_apollo.demo.meltano import executable
from target_apollo.sandbox import Sandbox, SandboxOptions
from target_apollo.sandbox.serving.rate_windows import Plan
from tests.helpers.databases import own_database
from tests.helpers.new_sandbox import new_sandbox
from tests.helpers.taps import installed, surroundings
from tests.promises.conftest import Message
from tests.promises.taps.warehouse import PEOPLE, SETTINGS, Warehouse, due, held, prepare

pytestmark = pytest.mark.full

BY_TIME = {"replication-method": "INCREMENTAL", "replication-key": "updated_at"}


@pytest.fixture
def apollo() -> Iterator[Sandbox]:
    with new_sandbox(SandboxOptions(strict=True, plan=Plan.UNLIMITED)) as sandbox:
        prepare(sandbox)
        yield sandbox


def plugin(name: str, path: Path, **more: object) -> Message:
    """A plugin that is installed already."""
    return {"name": name, "namespace": name.replace("-", "_"), "executable": str(path), **more}


def meltano_run(folder: Path) -> tuple[Message, str]:
    """One run; gives the target's summary and Meltano's log."""
    blocks = ["tap-postgres", "shout", "target-apollo"]
    done = subprocess.run(
        [executable(), "run", *blocks],
        cwd=folder,
        env={**surroundings(), "NO_COLOR": "1", "MELTANO_AUTO_INSTALL": "false"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=240,
        check=False,
    )
    log = done.stdout.decode()
    assert done.returncode == 0, log[-4000:]
    return dict(json.loads((folder / "summary.json").read_text())), log


def test_meltano_runs_a_tap_and_a_mapper_of_others_and_keeps_their_state(
    apollo: Sandbox, tmp_path: Path
) -> None:
    tap = installed("pipelinewise-tap-postgres", "tap-postgres")
    mapper = installed("meltano-map-transform", "meltano-map-transform")
    with own_database() as server:
        warehouse = Warehouse(server.url)
        reads = plugin(
            "tap-postgres",
            tap,
            capabilities=["catalog", "discover", "state"],
            config={
                "host": server.host,
                "port": server.port,
                "user": server.user,
                "password": server.password,
                "dbname": server.database,
                "filter_schemas": "crm",
            },
            select=["crm-contacts.*"],
            metadata={"crm-contacts": BY_TIME},
        )
        shout = {"stream_maps": {"crm-contacts": {"title": "title.upper() if title else title"}}}
        mappings = [{"name": "shout", "config": shout}]
        maps = plugin(
            "meltano-map-transform", mapper, capabilities=["stream-maps"], mappings=mappings
        )
        writes = plugin(
            "target-apollo",
            Path(sys.executable).with_name("target-apollo"),
            capabilities=["about"],
            config={
                **SETTINGS,
                "api_url": apollo.url,
                "api_key": apollo.api_key,
                "ledger_url": f"sqlite:///{tmp_path}/ledger.db",
                "summary_path": str(tmp_path / "summary.json"),
                "rejects_path": str(tmp_path / "rejects.singer"),
            },
        )
        project = {
            "send_anonymous_usage_stats": False,
            "cli": {"disable_version_check": True},
            "default_environment": "dev",
            "environments": [{"name": "dev"}],
            "plugins": {"extractors": [reads], "mappers": [maps], "loaders": [writes]},
        }
        (tmp_path / "meltano.yml").write_text(yaml.safe_dump(project))

        first, log = meltano_run(tmp_path)

        assert first["records"]["created"] == PEOPLE, log
        found = held(apollo)
        for email, fields in due().items():
            title = fields["title"] and fields["title"].upper()
            assert found[email] == {**fields, "title": title}

        warehouse.do(
            "update crm.contacts set title = 'Chief', updated_at = '2026-04-01'"
            " where first_name = 'Zoë 9'"
        )
        second, log = meltano_run(tmp_path)

        assert second["records"]["received"] <= 2, log
        assert second["records"]["updated"] == 1
        assert held(apollo)["p9@example.org"]["title"] == "CHIEF"
