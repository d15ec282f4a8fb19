"""The command ``apollo-sync sandbox``, which is also ``python -m target_apollo.sandbox``."""

from __future__ import annotations

import ipaddress
import math
import signal
import sqlite3
import sys
from collections.abc import Callable, Sequence
from typing import IO, Any, TypeVar

import click

from target_apollo.sandbox.options import (
    DEFAULT_KEY,
    SandboxOptions,
    UpdateRoute,
)
from target_apollo.sandbox.serving.rate_windows import Plan
from target_apollo.sandbox.serving.server import open_listener, serve_until_stopped, url_of
from target_apollo.sandbox.state import Sandbox

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])


class _Refused(click.ClickException):
    """The sandbox can't start with these options; the message is a sentence for the user."""

    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message without click's prefix."""
        click.echo(self.message, file=file, err=True)


def _finite(
    context: click.Context,  # noqa: ARG001
    parameter: click.Parameter,  # noqa: ARG001
    seconds: float,
) -> float:
    # click.FloatRange accepts "nan" and "inf".
    if not 0 < seconds < math.inf:
        raise click.BadParameter("must be above 0")
    return seconds


def _window_options(decorated: _Decorated) -> _Decorated:
    """Add the options of the rate windows: their limits and their lengths."""
    # The help lists the option first that is added last.
    for window, seconds in (("day", 86400), ("hour", 3600), ("minute", 60)):
        decorated = click.option(
            f"--{window}-seconds",
            type=float,
            callback=_finite,
            default=float(seconds),
            metavar="S",
            help=f"length of the {window} window (default: {seconds})",
        )(decorated)
        decorated = click.option(
            f"--{window}-limit",
            type=click.IntRange(min=0),
            metavar="N",
            help=f"requests per {window} and endpoint, instead of the plan's",
        )(decorated)
    return decorated


@click.command()
@click.option("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
@click.option("--port", type=int, default=8700, help="port, 0 for a free one (default: 8700)")
@click.option("--strict", is_flag=True, help="refuse what Apollo ignores silently")
@click.option(
    "--store",
    type=click.Path(readable=False),
    metavar="FILE.db",
    help="SQLite file for the state (default: in memory)",
)
@click.option(
    "--api-key",
    "keys",
    multiple=True,
    metavar="KEY[=ENDPOINT,…]",
    help=f"one more API key beside `{DEFAULT_KEY}`; with endpoints such as "
    "api/v1/contacts/create it may call only these",
)
@click.option(
    "--plan",
    type=click.Choice([plan.value for plan in Plan]),
    default=Plan.BASIC.value,
    help=f"whose rate limits apply (default: {Plan.BASIC.value})",
)
@_window_options
@click.option("--put-accounts", is_flag=True, help="accept PUT /accounts/{id} beside PATCH")
@click.option("--seed", type=int, default=0, help="seed of random choices (default: 0)")
@click.option(
    "--option",
    "others",
    multiple=True,
    metavar="NAME=VALUE",
    help="any other option, such as shuffle_answers=true (see /_sandbox/options)",
)
def command(
    host: str,
    port: int,
    keys: Sequence[str],
    plan: str,
    put_accounts: bool,
    others: Sequence[str],
    **fields: Any,
) -> int:
    """A local Apollo with the documented behaviour of the API.

    It serves until SIGTERM or SIGINT, and prints one line with its URL when it listens.
    """
    try:
        options = SandboxOptions(
            api_keys=dict([(DEFAULT_KEY, None), *map(_key, keys)]),
            plan=Plan(plan),
            put_accounts=UpdateRoute.ACCEPTED if put_accounts else UpdateRoute.NOT_FOUND,
            **fields,
        ).replaced(dict(map(_named, others)))
    except ValueError as error:
        raise _Refused(str(error)) from None
    try:
        listener = open_listener(host, port)
    except (OSError, OverflowError) as error:
        # The socket's own words for a port above 65535.
        why = getattr(error, "strerror", None) or error
        raise _Refused(
            f"The sandbox can't listen on {host}:{port}: {why}. "
            "Choose another --port; 0 takes a free one."
        ) from None
    try:
        sandbox = Sandbox(options)
    except (OSError, sqlite3.Error) as error:
        listener.close()
        raise _Refused(f"The file given with --store can't be used: {error}.") from None
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
        host,
    )
    return 0


def _key(given: str) -> tuple[str, tuple[str, ...] | None]:
    """Parse ``--api-key``: the key, and the endpoints that it may call (None for all).

    Raises:
        ValueError: The key is empty.
    """
    key, has_list, endpoints = given.partition("=")
    if not key:
        raise ValueError("--api-key needs a key, with = and endpoints if it may not call all.")
    return key, tuple(filter(None, endpoints.split(","))) if has_list else None


def _named(given: str) -> tuple[str, object]:
    """Parse ``--option``: the option's name and its value.

    Raises:
        ValueError: There is no value.
    """
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
