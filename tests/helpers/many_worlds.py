"""Many worlds, each from its seed: what is wrong in them, with the shortest story of it.

For many new ones:

    python -m tests.helpers.many_worlds --seeds 1000 --minutes 10
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import islice
from pathlib import Path

from target_apollo.demo.postgres import running_postgres
from tests.helpers.identity_story import options_of
from tests.helpers.new_sandbox import new_sandbox
from tests.helpers.world_runs import Figures, World
from tests.ledger.conftest import own_schema


def kind_of_ledger(seed: int) -> str:
    """The ledger of a world: most have SQLite, some none, some PostgreSQL."""
    return "none" if seed % 6 == 3 else "postgresql" if seed % 10 == 4 else "sqlite"


def is_slow(seed: int) -> bool:
    """Whether fields that need a request each follow their rows in a world."""
    return seed % 4 == 1 and kind_of_ledger(seed) != "none"


def play(
    seed: int,
    folder: Path,
    *,
    postgresql: str = "",
    steps: Sequence[int] | None = None,
) -> tuple[Figures, list[str]]:
    """Plays one world.

    Args:
        seed: Seed of all choices.
        folder: An empty folder.
        postgresql: URL of an empty database for the ledger; without it, worlds with PostgreSQL
            have SQLite.
        steps: Numbers of the steps to play; None for all.

    Returns:
        The figures with what is wrong, and the story.
    """
    url = {"none": "", "postgresql": postgresql}.get(kind_of_ledger(seed))
    if url is None or (kind_of_ledger(seed) == "postgresql" and not postgresql):
        url = f"sqlite:///{folder}/ledger.db"
    chance = random.Random(f"{seed}: the sandbox")
    with new_sandbox(options_of(chance)) as sandbox:
        world = World(seed, sandbox, folder, url, is_slow=is_slow(seed))
        found = world.play(every_step(seed) if steps is None else steps)
        world.figures.problems = found
        return world.figures, world.told


def every_step(seed: int) -> list[int]:
    return list(range(random.Random(f"{seed}: steps").randint(3, 10)))


def shortest(seed: int, folder: Path) -> tuple[list[int], list[str]]:
    """The fewest steps that are left when each is dropped without which a problem remains.

    Returns:
        The steps and their story with the problems; both empty if the problem does not come again.
    """
    steps = every_step(seed)
    told: list[str] = []
    for tried, number in enumerate([None, *reversed(steps)]):
        fewer = [one for one in steps if one != number]
        own = folder / f"try-{tried}"
        own.mkdir()
        figures, story = play(seed, own, steps=fewer)
        shutil.rmtree(own)
        if figures.problems:
            steps, told = fewer, [*story, *(f"!! {one}" for one in figures.problems)]
        elif number is None:
            return [], []
    return steps, told


def _play_seed(seed: int, server_url: str, shorten: bool) -> tuple[int, Figures, list[str]]:
    with tempfile.TemporaryDirectory(prefix=f"world-{seed}-") as folder:
        with contextlib.ExitStack() as stack:
            url = ""
            if kind_of_ledger(seed) == "postgresql" and server_url:
                url = stack.enter_context(own_schema(server_url))
            own = Path(folder) / "world"
            own.mkdir()
            try:
                figures, told = play(seed, own, postgresql=url)
            except Exception as broken:  # noqa: BLE001 - whatever it is, it is what was looked for
                figures = Figures(worlds=1, problems=[f"wrong: {type(broken).__name__}: {broken}"])
                return seed, figures, []
        if figures.problems and shorten:
            _, shorter = shortest(seed, Path(folder))
            told = shorter or told
        return seed, figures, told


def main(arguments: Sequence[str] | None = None) -> int:
    """Plays many worlds and prints a line of figures; returns 1 if anything was wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.helpers.many_worlds", description=__doc__
    )
    parser.add_argument("--seeds", type=int, default=100, help="how many worlds at most")
    parser.add_argument("--first", type=int, help="the first seed; otherwise one from the clock")
    parser.add_argument("--minutes", type=float, default=10, help="begin no world after that")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--whole", action="store_true", help="do not shorten stories")
    parser.add_argument("--sqlite-only", action="store_true", help="without a PostgreSQL server")
    options = parser.parse_args(arguments)
    first = int(time.time()) if options.first is None else options.first
    until = time.monotonic() + options.minutes * 60
    total, seeds = Figures(), iter(range(first, first + options.seeds))
    with contextlib.ExitStack() as stack:
        url = ""
        if not options.sqlite_only:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="world-postgres-"))
            url = stack.enter_context(running_postgres(Path(folder))).url
        context = multiprocessing.get_context("spawn")
        pool = stack.enter_context(ProcessPoolExecutor(options.jobs, mp_context=context))
        running = {
            pool.submit(_play_seed, seed, url, not options.whole)
            for seed in islice(seeds, options.jobs)
        }
        while running:
            done = next(as_completed(running))
            running.discard(done)
            seed, figures, told = done.result()
            total += figures
            if figures.problems:
                lines = [f"seed {seed}:", *told, *(f"!! {one}" for one in figures.problems)]
                print("\n".join(lines), file=sys.stderr, flush=True)  # noqa: T201
            following = next(seeds, None) if time.monotonic() < until else None
            if following is not None:
                running.add(pool.submit(_play_seed, following, url, not options.whole))
    print(f"first seed {first}: {total}")  # noqa: T201
    return 1 if total.problems else 0


if __name__ == "__main__":
    sys.exit(main())
