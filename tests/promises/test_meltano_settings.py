"""Numbers reach the target through Meltano, whole and with fractions, from variables and files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from target_apollo.config.schema import SCHEMA
from target_apollo.config.typed_values import type_of
from target_apollo.demo.meltano import ROOT, executable

pytestmark = pytest.mark.full

BOUNDS = {
    name: (one.get("minimum", one.get("exclusiveMinimum")), one["maximum"])
    for name, one in SCHEMA["properties"].items()
    if type_of(one) in ("integer", "number")
}
FRACTIONS = [name for name in BOUNDS if type_of(SCHEMA["properties"][name]) == "number"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with the loader of this project as it stands beside the tests."""
    shipped = yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))
    (loader,) = shipped["plugins"]["loaders"]
    del loader["pip_url"]
    loader["executable"] = str(Path(sys.executable).with_name("target-apollo"))
    loader["config"] = {"api_key": "sandbox", "ledger_url": ""}
    own = {"send_anonymous_usage_stats": False, "plugins": {"loaders": [loader]}}
    (tmp_path / "meltano.yml").write_text(yaml.safe_dump(own), encoding="utf-8")
    return tmp_path


def meltano(project: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    ours = ("MELTANO_", "TARGET_APOLLO_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.run(
        [executable(), *arguments],
        cwd=project,
        env={**kept, "MELTANO_CLI_DISABLE_VERSION_CHECK": "true", "NO_COLOR": "1", **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def variable(name: str) -> str:
    return f"TARGET_APOLLO_{name.upper()}"


def test_numbers_of_variables_arrive_with_their_fractions(project: Path) -> None:
    good = {name: str(high) for name, (_, high) in BOUNDS.items()}
    good |= {name: str(BOUNDS[name][1] - 0.25) for name in FRACTIONS}
    done = meltano(
        project, "invoke", "target-apollo", **{variable(name): one for name, one in good.items()}
    )
    assert done.returncode == 0, done.stdout + done.stderr

    bad = {variable(name): str(high + 1) for name, (_, high) in BOUNDS.items()}
    bad |= {variable(name): str(BOUNDS[name][1] + 0.25) for name in FRACTIONS}
    refused = meltano(project, "invoke", "target-apollo", **bad)
    assert refused.returncode == 2
    for name, (_, high) in BOUNDS.items():
        assert f"The setting '{name}' must be at most {high}" in refused.stdout + refused.stderr


def test_a_fraction_that_meltano_config_has_set_arrives(project: Path) -> None:
    for name, value in (("request_timeout_seconds", "30.5"), ("quota_share", "0.7")):
        done = meltano(project, "config", "set", "target-apollo", name, value)
        assert done.returncode == 0, done.stdout + done.stderr
    assert meltano(project, "invoke", "target-apollo").returncode == 0

    # It would not contradict a quota_share that has been lost.
    refused = meltano(project, "invoke", "target-apollo", TARGET_APOLLO_QUOTA_PERCENT="80")
    assert refused.returncode == 2
    assert "'quota_share' and 'quota_percent' contradict" in refused.stdout + refused.stderr
