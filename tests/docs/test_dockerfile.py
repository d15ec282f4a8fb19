"""docs/docker/Dockerfile as it is written; no container is built here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "docs" / "docker" / "Dockerfile"
KNOWN = {"COPY", "ENTRYPOINT", "CMD", "ENV", "FROM", "RUN", "USER", "VOLUME", "WORKDIR"}


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
        pinned = re.fullmatch(r"python:(3\.\d+)-slim-\w+", base)
        assert pinned, base
        assert f'"Programming Language :: Python :: {pinned[1]}"' in classifiers


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


def test_only_what_the_package_is_made_of_goes_to_the_builder() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in ignored if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied_from_the_source()
    assert rules[-1] == "**/__pycache__"


@pytest.mark.parametrize("path", sorted(copied_from_the_source()))
def test_what_is_copied_is_there(path: str) -> None:
    assert (ROOT / path).exists()
