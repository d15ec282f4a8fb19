"""docs/docker/Dockerfile as it is written; its commands are run, and no container is built."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "docs" / "docker" / "Dockerfile"
#: All of them are known to docker's older builder, to BuildKit, podman and buildah.
KNOWN = {"COPY", "ENTRYPOINT", "CMD", "ENV", "FROM", "LABEL", "RUN", "USER", "VOLUME", "WORKDIR"}


class Step(NamedTuple):
    """An instruction and what follows it, on one line."""

    instruction: str
    rest: str


def steps() -> list[Step]:
    lines = DOCKERFILE.read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", "", text).splitlines()
    return [Step(*line.split(maxsplit=1)) for line in joined if line]


def final_stage() -> list[Step]:
    every = steps()
    begin = max(number for number, step in enumerate(every) if step.instruction == "FROM")
    return every[begin:]


def only(instruction: str) -> str:
    (rest,) = (step.rest for step in final_stage() if step.instruction == instruction)
    return rest


def copied_from_the_source() -> set[str]:
    copies = [step.rest.split() for step in steps() if step.instruction == "COPY"]
    return {name for words in copies if not words[0].startswith("--from") for name in words[:-1]}


def test_only_plain_instructions_are_used_and_nothing_is_fetched_by_address() -> None:
    assert {step.instruction for step in steps()} <= KNOWN
    assert "://" not in "".join(step.rest for step in steps())


def test_each_base_is_slim_and_pinned_to_a_minor_version_that_the_package_takes() -> None:
    classifiers = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for base in (step.rest.split()[0] for step in steps() if step.instruction == "FROM"):
        # Buildah and podman do not take Docker's registry for granted.
        pinned = re.fullmatch(r"docker\.io/library/python:(3\.\d+)-slim-\w+", base)
        assert pinned, base
        assert f'"Programming Language :: Python :: {pinned[1]}"' in classifiers


def test_nothing_is_used_that_one_builder_alone_knows() -> None:
    text = DOCKERFILE.read_text(encoding="utf-8")
    assert not re.search(r"^# *(syntax|escape|check)=", text, re.MULTILINE)
    assert "<<" not in text
    flags = {
        flag
        for step in steps()
        if step.instruction in ("COPY", "FROM", "RUN")
        for flag in re.findall(r"^(--\w+)", step.rest)
    }
    assert flags == {"--from"}


def test_its_labels_say_what_it_is() -> None:
    labels = dict(re.findall(r'org\.opencontainers\.image\.([\w.]+)="([^"]+)"', only("LABEL")))
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert labels["title"] == "target-apollo"
    assert f'license = "{labels["licenses"]}"' in project
    assert labels["base.name"] == next(
        step.rest for step in final_stage() if step.instruction == "FROM"
    )


def test_make_labels_an_image_with_the_version_and_the_commit() -> None:
    shown = subprocess.run(
        ["make", "--dry-run", "image", "IMAGE=registry.test/apollo:1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    assert f"org.opencontainers.image.version={version('target-apollo')} " in shown
    assert re.search(r"org\.opencontainers\.image\.revision=[0-9a-f]{40}", shown)
    assert "-f docs/docker/Dockerfile -t 'registry.test/apollo:1'" in shown
    assert ".example" not in shown


def test_it_runs_as_a_user_that_is_not_root_from_the_last_installation_on() -> None:
    instructions = [step.instruction for step in final_stage()]
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", only("USER"))
    assert "RUN" not in instructions[instructions.index("USER") :]
    assert "COPY" not in instructions[instructions.index("USER") :]


def test_that_user_owns_what_the_volume_holds_and_nobody_else_reads_it() -> None:
    (volume,) = yaml.safe_load(only("VOLUME"))
    uid, gid = only("USER").split(":")
    made = only("RUN")
    assert f"groupadd --gid {gid} apollo" in made
    assert f"useradd --uid {uid} --gid apollo" in made
    prepared = re.search(r"install --directory (?P<how>.*?) (?P<folders>/.*)$", made)
    assert prepared
    assert set(prepared["how"].split()) == {"--owner=apollo", "--group=apollo", "--mode=0700"}
    assert {only("WORKDIR"), volume} == set(prepared["folders"].split())
    # Where the target keeps its files when nothing else is set.
    assert volume == f"{only('WORKDIR')}/.target-apollo"


def test_it_starts_the_target_with_settings_from_the_environment() -> None:
    (program,) = yaml.safe_load(only("ENTRYPOINT"))
    assert f'{program} = "target_apollo.' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert yaml.safe_load(only("CMD")) == ["--config", "ENV"]


def test_it_can_keep_its_ledger_in_postgresql() -> None:
    assert any("pip install" in step.rest and "'.[postgres]'" in step.rest for step in steps())


def test_no_secret_is_written_into_the_image() -> None:
    assert only("ENV") == "PATH=/opt/target-apollo/bin:$PATH"
    assert not re.search(
        r"(key|token|secret|password)\S*=", "".join(s.rest for s in steps()), re.IGNORECASE
    )


@pytest.mark.full
def test_its_commands_install_what_is_copied_and_it_runs(tmp_path: Path) -> None:
    source, opt = tmp_path / "source", tmp_path / "opt"
    for path in copied_from_the_source():
        copy = source / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / path).is_dir():
            shutil.copytree(ROOT / path, copy, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / path, copy)
    (installs,) = (step.rest for step in steps() if "pip install" in step.rest)
    done = subprocess.run(
        ["sh", "-c", installs.replace("/opt/", f"{opt}/")],
        cwd=source,
        env={
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "PIP_NO_COMPILE": "1",
            **{name: value for name, value in os.environ.items() if name.startswith("PIP_")},
        },
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    if "No matching distribution" in done.stderr:
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stderr
    shutil.rmtree(source)
    (program,) = yaml.safe_load(only("ENTRYPOINT"))
    said = subprocess.run(
        [opt / "target-apollo" / "bin" / program, "--version"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert version("target-apollo") in said.stdout


def test_only_what_the_package_is_made_of_goes_to_the_builder() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in ignored if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied_from_the_source()
    assert rules[-1] == "**/__pycache__"


@pytest.mark.parametrize("path", sorted(copied_from_the_source()))
def test_what_is_copied_is_there(path: str) -> None:
    assert (ROOT / path).exists()
