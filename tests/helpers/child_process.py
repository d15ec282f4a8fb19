"""What the process tests let another process do to a ledger: `python child_process.py WHAT URL`.

Each prints a line when it has come to the point at which it is to be killed.
"""

from __future__ import annotations

import os
import signal
import sys

from sqlalchemy import Engine, event

from target_apollo.ledger import Intent, Ledger, LinkOutcome, LinkStatus, Place

TEAM = "5f5e100c0d4ae7000181a2b3"
KEYS = [str(number) for number in range(2_000)]


def say(word: str) -> None:
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


def hold_a_lock(url: str) -> None:
    ledger = Ledger.open(url)
    ledger.lock(TEAM, "contacts", "run-1")
    say("locked")
    sys.stdin.read()


def open_when_told(url: str) -> None:
    say("ready")
    sys.stdin.readline()
    with Ledger.open(url) as ledger:
        ledger.record_intents(Place(TEAM, "contact", str(os.getpid())), "run-1", [Intent("1")])
    say("opened")


def die_before_a_commit(url: str) -> None:
    ledger = Ledger.open(url)
    write(ledger, 1)
    event.listen(Engine, "commit", lambda _connection: os.kill(os.getpid(), signal.SIGKILL))
    write(ledger, 2)


def write_for_ever(url: str) -> None:
    ledger = Ledger.open(url)
    number = 1
    while True:
        write(ledger, number)
        say(f"committed {number}")
        number += 1


def write(ledger: Ledger, number: int) -> None:
    outcomes = [LinkOutcome(key, LinkStatus.CREATED, f"{number:024x}") for key in KEYS]
    ledger.record_outcomes(Place(TEAM, "contact", "contacts"), f"run-{number}", outcomes)


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2])
