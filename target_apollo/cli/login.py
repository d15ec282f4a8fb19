"""The command `apollo-sync login`: consent in a browser, tokens in the token file."""

from __future__ import annotations

import argparse
import math
import select
import sys
import threading
from collections.abc import Collection

from target_apollo.apollo import ApolloClient, ApolloError, Transport, access_to
from target_apollo.apollo.oauth_part import pair_of
from target_apollo.apollo.urls import is_web_address
from target_apollo.cli.authorization import Authorization, NotGranted, NotThisLogin
from target_apollo.cli.check.needs import needs_of
from target_apollo.cli.listener import PATH, Listener
from target_apollo.config.credentials import OAuthApp, auth_of
from target_apollo.config.settings import Settings, SettingsError
from target_apollo.config.sources import add_config_argument, read_settings
from target_apollo.model.objects import ObjectKind
from target_apollo.sync.exit import FAILED, MISCONFIGURED, OK, ending_of

_AUTHORIZE_URL = "https://app.apollo.io/#/oauth/authorize"
_WAIT_SECONDS = 300.0
_PASTE_PORT = 8400


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `login` to a parser."""
    parser.description = (
        "Logs in to Apollo with OAuth 2.0: prints the page on which a user allows access, waits "
        "for the answer, and writes the tokens to token_path, where the target finds and renews "
        "them. Needs the settings client_id and client_secret."
    )
    parser.epilog = (
        "The redirect address must be one that is registered with the OAuth app in Apollo. Exit "
        "codes: 0 logged in; 2 wrong settings or client; 1 anything else, such as no consent."
    )
    add_config_argument(parser)
    parser.add_argument(
        "--port",
        type=_port,
        default=0,
        metavar="N",
        help=f"listen on http://127.0.0.1:N{PATH} for the answer (default: a free port)",
    )
    parser.add_argument(
        "--paste",
        action="store_true",
        help="do not listen: read the address at which the browser ended from standard input, for "
        "a browser on another machine",
    )
    parser.add_argument(
        "--redirect-uri",
        type=_address,
        metavar="URL",
        help="a registered redirect address of another kind; implies --paste",
    )
    parser.add_argument(
        "--scope",
        metavar="SCOPES",
        help="scopes to ask for, with blanks between (default: what a sync with these settings "
        "uses)",
    )
    parser.add_argument(
        "--wait",
        type=_seconds,
        default=_WAIT_SECONDS,
        metavar="SECONDS",
        help="how long to wait for the answer (default: %(default)g)",
    )
    parser.add_argument(
        "--authorize-url",
        type=_address,
        default=_AUTHORIZE_URL,
        metavar="URL",
        help="page that asks for consent (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Logs in and returns the exit code; what goes wrong is said on stderr."""
    try:
        settings = read_settings(arguments.config)
        team = _log_in(settings, arguments)
    except SettingsError as wrong:
        return _refuse("\n".join(wrong.problems), MISCONFIGURED)
    except _NotLoggedIn as nothing:
        return _refuse(str(nothing), FAILED)
    except ApolloError as problem:
        ending = ending_of(problem, 0)
        return _refuse(str(problem), ending.exit_code if ending else FAILED)
    _say(
        f"Logged in: target-apollo now writes to Apollo team {team} with the tokens in "
        f"{settings.token_path}, and renews them itself."
    )
    return OK


class _NotLoggedIn(Exception):
    """No code came back, or the tokens don't work; the text is a sentence."""


def _log_in(settings: Settings, arguments: argparse.Namespace) -> str:
    """Gets consent, exchanges the code, keeps the tokens; returns the id of the team.

    Raises:
        SettingsError: The settings are not those of an OAuth app.
        _NotLoggedIn: No consent came back, or Apollo does not take the new tokens.
        ApolloError: The exchange was refused, or the token file can't be written.
    """
    if settings.api_key:
        raise SettingsError(
            [
                "The setting api_key needs no login: for OAuth 2.0 give client_id and "
                "client_secret in its place."
            ]
        )
    stop = threading.Event()
    app = OAuthApp.of(settings, stop)
    # A file that can't be replaced shows now, and not when the code is spent.
    with app.token_file.locked(stop), app.token_file.successor():
        pass
    scopes = arguments.scope.split() if arguments.scope else _scopes_of(settings)
    client_id = (settings.client_id or "").strip()
    if arguments.paste or arguments.redirect_uri:
        redirect_uri = (
            arguments.redirect_uri or f"http://127.0.0.1:{arguments.port or _PASTE_PORT}{PATH}"
        )
        asked = Authorization(arguments.authorize_url, client_id, redirect_uri, scopes)
        code = _code_in(asked, _pasted(asked, arguments.wait))
    else:
        asked, code = _heard(arguments, client_id, scopes)
    with app.token_file.locked(stop), app.token_file.successor() as successor:
        grant = app.endpoint.exchange_code(
            code, redirect_uri=asked.redirect_uri, verifier=asked.verifier
        )
        successor.keep(app.login, pair_of(grant, ""))
    return _team(settings, stop)


def _heard(
    arguments: argparse.Namespace, client_id: str, scopes: Collection[str]
) -> tuple[Authorization, str]:
    """The code that the browser brings to the loopback address."""

    def belongs(address: str) -> bool:
        try:
            asked.code_in(address)
        except NotThisLogin:
            sys.stderr.write("An answer that belongs to another login was refused.\n")
            return False
        except NotGranted:
            pass
        return True

    try:
        listener = Listener(arguments.port, belongs)
    except OSError as problem:
        raise _NotLoggedIn(
            f"Port {arguments.port} can't be listened on: {problem.strerror}. Give another --port "
            "whose redirect address is registered with the app, or use --paste."
        ) from None
    asked = Authorization(arguments.authorize_url, client_id, listener.redirect_uri, scopes)
    with listener.listening():
        _say(_invitation(asked))
        _say(f"Waiting up to {arguments.wait:g} seconds for the answer at {asked.redirect_uri} …")
        address = listener.wait(arguments.wait)
    if address is None:
        raise _too_late(arguments.wait)
    return asked, _code_in(asked, address)


def _pasted(asked: Authorization, wait: float) -> str:
    _say(_invitation(asked))
    _say(
        "Then the browser goes to an address that begins with "
        f"{asked.redirect_uri}, even if nothing is shown there. Paste that whole address here:"
    )
    if not select.select([sys.stdin], [], [], wait)[0]:
        raise _too_late(wait)
    return sys.stdin.readline().strip()


def _invitation(asked: Authorization) -> str:
    return f"Open this page in a browser, log in to Apollo and allow the access:\n\n  {asked.url}\n"


def _code_in(asked: Authorization, address: str) -> str:
    try:
        return asked.code_in(address)
    except NotThisLogin:
        raise _NotLoggedIn(
            "This address does not belong to the login that was started (its state or its code is "
            "missing or another): run `apollo-sync login` again and use the page that it prints."
        ) from None
    except NotGranted as refusal:
        why = f" ({refusal.reason})" if refusal.reason else ""
        raise _NotLoggedIn(
            f"Access was not granted{why}: run `apollo-sync login` again, as a user of Apollo who "
            "may allow it, and with scopes that the app has (--scope)."
        ) from None


def _too_late(wait: float) -> _NotLoggedIn:
    return _NotLoggedIn(
        f"No answer came within {wait:g} seconds: run `apollo-sync login` again. If the browser is "
        "on another machine, use --paste."
    )


def _scopes_of(settings: Settings) -> list[str]:
    """The scopes of all endpoints that a sync with these settings may use."""
    scopes = {access_to(need.endpoint).scope for need in needs_of(settings, list(ObjectKind))}
    return sorted(scope for scope in scopes if scope)


def _team(settings: Settings, stop: threading.Event) -> str:
    """The team that the new tokens write to, which proves that they work."""
    transport = Transport(
        api_url=settings.api_url,
        auth=auth_of(settings, stop),
        max_retries=settings.max_retries,
        request_timeout_seconds=settings.request_timeout_seconds,
        max_wait_seconds=settings.max_wait_seconds,
        parallel_requests=1,
        stop=stop,
    )
    try:
        return ApolloClient(transport).profile().team_id
    except ApolloError as problem:
        raise _NotLoggedIn(
            f"The new tokens are in {settings.token_path}, but could not be tried out: {problem}"
        ) from None
    finally:
        transport.close()


def _address(text: str) -> str:
    if not is_web_address(text):
        raise argparse.ArgumentTypeError("must start with https:// (http:// on this machine only)")
    return text


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError("must be between 0 and 65535")
    return port


def _seconds(text: str) -> float:
    seconds = float(text)
    if not (math.isfinite(seconds) and 0 < seconds <= 86_400):
        raise argparse.ArgumentTypeError("must be above 0 and at most 86400")
    return seconds


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _refuse(sentence: str, exit_code: int) -> int:
    sys.stderr.write(sentence + "\n")
    return exit_code
