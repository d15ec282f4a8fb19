"""The command: ``python -m target_apollo.sandbox``, mounted as ``apollo-sync sandbox``."""

from __future__ import annotations

import argparse
import ipaddress
import signal
import sqlite3
import sys
from collections.abc import Sequence

from target_apollo.sandbox.options import (
    DEFAULT_KEY,
    PutAccounts,
    SandboxOptions,
)
from target_apollo.sandbox.rate_windows import Plan
from target_apollo.sandbox.server import bound, serve_until_stopped, url_of
from target_apollo.sandbox.state import Sandbox


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sandbox's arguments to a parser."""
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=8700, help="port, 0 for a free one (default: %(default)s)")
    add("--strict", action="store_true", help="refuse what Apollo ignores silently")
    add("--store", metavar="FILE.db", help="SQLite file for the state (default: in memory)")
    add(
        "--api-key",
        action="append",
        default=[],
        metavar="KEY[=ENDPOINT,…]",
        help=f"one more API key beside `{DEFAULT_KEY}`; with endpoints such as "
        "api/v1/contacts/create it may call only these",
    )
    add(
        "--plan",
        choices=[plan.value for plan in Plan],
        default=Plan.BASIC.value,
        help="whose rate limits apply (default: %(default)s)",
    )
    for window, default in (("minute", 60), ("hour", 3600), ("day", 86400)):
        add(
            f"--{window}-limit",
            type=_whole,
            metavar="N",
            help=f"requests a {window} and endpoint, instead of the plan's",
        )
        add(
            f"--{window}-seconds",
            type=_positive,
            default=float(default),
            metavar="S",
            help=f"length of the {window} window (default: {default})",
        )
    add("--put-accounts", action="store_true", help="accept PUT /accounts/{id} beside PATCH")
    add("--seed", type=int, default=0, help="seed of random choices (default: %(default)s)")
    add(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any other option, such as shuffle_answers=true (see /_sandbox/options)",
    )


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT; prints one line with the URL when it listens.

    Returns 0 after a stop, 2 for a setting that can't be (said on stderr).
    """
    try:
        options = _options(args)
    except ValueError as error:
        return _refuse(str(error))
    try:
        listener = bound(args.host, args.port)
    except (OSError, OverflowError) as error:
        # The socket's own words for a port above 65535.
        why = getattr(error, "strerror", None) or error
        return _refuse(
            f"The sandbox can't listen on {args.host}:{args.port}: {why}. "
            "Choose another --port; 0 takes a free one."
        )
    try:
        sandbox = Sandbox(options)
    except (OSError, sqlite3.Error) as error:
        listener.close()
        return _refuse(f"The file given with --store can't be used: {error}.")
    sandbox.url = url_of(listener)
    if not ipaddress.ip_address(listener.getsockname()[0]).is_loopback:
        print(  # noqa: T201
            "Everyone who reaches this address can read and change the sandbox: it has no secrets.",
            file=sys.stderr,
        )
    serve_until_stopped(
        sandbox,
        listener,
        lambda: print(f"Apollo sandbox listening on {sandbox.url}", flush=True),  # noqa: T201
        (signal.SIGTERM, signal.SIGINT),
    )
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m target_apollo.sandbox",
        description="A local Apollo with the documented behaviour of the API.",
    )
    add_arguments(parser)
    return run(parser.parse_args(argv))


def _options(args: argparse.Namespace) -> SandboxOptions:
    keys: dict[str, tuple[str, ...] | None] = {DEFAULT_KEY: None}
    for given in args.api_key:
        key, has_list, endpoints = given.partition("=")
        if not key:
            raise ValueError("--api-key needs a key, with = and endpoints if it may not call all.")
        keys[key] = tuple(filter(None, endpoints.split(","))) if has_list else None
    options = SandboxOptions(
        strict=args.strict,
        api_keys=keys,
        store=args.store,
        seed=args.seed,
        plan=Plan(args.plan),
        minute_limit=args.minute_limit,
        hour_limit=args.hour_limit,
        day_limit=args.day_limit,
        minute_seconds=args.minute_seconds,
        hour_seconds=args.hour_seconds,
        day_seconds=args.day_seconds,
        put_accounts=PutAccounts.ACCEPTED if args.put_accounts else PutAccounts.NOT_FOUND,
    )
    return options.replaced(dict(map(_named, args.option)))


def _named(given: str) -> tuple[str, object]:
    name, sign, text = given.partition("=")
    if not sign:
        raise ValueError(f"--option {given}: write it as NAME=VALUE.")
    if text in ("true", "false"):
        return name, text == "true"
    for number in (int, float):
        try:
            return name, number(text)
        except ValueError:
            continue
    return name, text


def _whole(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return value


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError("must be above 0")
    return value


def _refuse(sentence: str) -> int:
    print(sentence, file=sys.stderr)  # noqa: T201
    return 2
