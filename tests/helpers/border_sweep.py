"""Cases of altered answers by the thousand, from the answers that the sandbox itself gives.

python -m tests.helpers.border_sweep --minutes 20
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import random
import re
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

from target_apollo.system import logs
from tests.helpers.altered_answers import Alteration, Reply, alterations, covering
from tests.helpers.altering_server import AlteringServer
from tests.helpers.border import Border, Case
from tests.helpers.border_objects import (
    OBJECT_SCENES,
    ObjectScene,
    is_of_objects,
    object_can_be_told,
)
from tests.helpers.border_scenes import SCENES, Scene

PACKAGE = Path(logs.__file__).parents[1]
#: Members by which a record is known.
_KEYS = frozenset({"id", "email", "domain", "name"})

AnyScene = Scene | ObjectScene
#: Scene -> label of an endpoint -> its answers.
Answers = dict[AnyScene, dict[str, list[Reply]]]


@cache
def read_members() -> frozenset[str]:
    """The names that the package could read in an answer: the short texts in its code."""
    found: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        if "sandbox" in path.parts or "demo" in path.parts or "reporting" in path.parts:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found |= {
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and node.value.replace("_", "").isalnum()
        }
    return frozenset(found)


def can_be_told(alteration: Alteration) -> bool:
    """Whether a client can tell an alteration from the truth, without a request for each record.

    A record with a row's address and the id of a stranger, of whom the run knows nothing, is in no
    contradiction to anything.
    """
    if is_of_objects(alteration.endpoint) and not object_can_be_told(alteration):
        return False
    return not (
        alteration.member == "id"
        and alteration.kind in ("somebody else's", "twice, another last")
        and alteration.endpoint.endswith(("/bulk_create", "/search"))
    )


def alterations_of(answers: dict[str, list[Reply]]) -> set[Alteration]:
    """All that can be altered in recorded answers, and be told."""
    return {
        one
        for label, replies in answers.items()
        for reply in replies
        for one in alterations(label, reply)
        if can_be_told(one)
    }


def recorded(border: Border, scenes: Iterable[AnyScene]) -> Answers:
    """The answers of scenes; of objects those that no other scene has."""
    return {
        scene: {
            label: replies
            for label, replies in border.recorded(scene).items()
            if isinstance(scene, Scene) or is_of_objects(label) or label in scene.also_asks
        }
        for scene in scenes
    }


def sample(answers: Answers, seed: int) -> list[Case]:
    """Cases in which all endpoints, kinds and members that are read occur, over all scenes."""
    chance = random.Random(seed)
    homes: dict[Alteration, list[AnyScene]] = {}
    for scene, found in answers.items():
        for one in alterations_of(found):
            homes.setdefault(one, []).append(scene)
    return [
        Case(chance.choice(homes[one]), one, chance.random() < 0.3, chance.random() < 0.5)
        for one in covering(homes, read_members(), chance)
    ]


@contextlib.contextmanager
def altering_server() -> Iterator[AlteringServer]:
    """A server that alters answers, until the context ends."""
    server = AlteringServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()
        server.trap.close()


def mixed_sample(answers: Answers, seed: int, count: int) -> list[Case]:
    """A number of cases: a half is about the members by which records are known."""
    chance = random.Random(seed)
    known = [
        (scene, one)
        for scene, found in answers.items()
        for one in alterations_of(found)
        if one.member in _KEYS
    ]
    known.sort(key=lambda pair: (str(pair[0]), str(pair[1])))
    cases = [
        Case(*pair, chance.random() < 0.3, chance.random() < 0.5)
        for pair in chance.sample(known, count // 2)
    ]
    return [*cases, *chance.sample(sample(answers, seed), count - len(cases))]


def every(answers: Answers, seed: int) -> list[Case]:
    """A case for each alteration in each scene, mixed."""
    chance = random.Random(seed)
    pairs = [(scene, one) for scene, found in answers.items() for one in alterations_of(found)]
    pairs.sort(key=str)
    chance.shuffle(pairs)
    return [Case(*pair, chance.random() < 0.3, chance.random() < 0.5) for pair in pairs]


def main(arguments: Sequence[str] | None = None) -> int:
    """Plays many cases and prints what broke the law; returns 1 if anything did."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.helpers.border_sweep", description=__doc__
    )
    parser.add_argument("--cases", type=int, default=10**9, help="how many cases at most")
    parser.add_argument(
        "--seed", type=int, default=int(time.time()), help="what is tried, and when"
    )
    parser.add_argument("--minutes", type=float, default=20, help="start no case after that")
    parser.add_argument("--scenes", default="", help="scenes that this pattern fits")
    parser.add_argument("--only", default="", help="cases that this pattern fits")
    parser.add_argument("--all", action="store_true", help="no sample: all alterations, mixed")
    options = parser.parse_args(arguments)
    until = time.monotonic() + options.minutes * 60
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with (
        tempfile.TemporaryDirectory(prefix="border-", dir=memory) as folder,
        altering_server() as server,
    ):
        border = Border(server, Path(folder))
        scenes = [
            scene for scene in (*SCENES, *OBJECT_SCENES) if re.search(options.scenes, str(scene))
        ]
        answers = recorded(border, scenes)
        cases = (every if options.all else sample)(answers, options.seed)
        cases = [one for one in cases if re.search(options.only, str(one))]
        print(f"seed {options.seed}: {len(cases)} cases", file=sys.stderr)  # noqa: T201
        for case in cases[: options.cases]:
            if time.monotonic() > until:
                break
            for problem in border.play(case):
                print(f"{case}\n    {problem}", file=sys.stderr, flush=True)  # noqa: T201
            if border.counts.cases % 100 == 0:
                print(border.counts, file=sys.stderr, flush=True)  # noqa: T201
    print(border.counts)  # noqa: T201
    return 1 if border.counts.problems else 0


if __name__ == "__main__":
    sys.exit(main())
