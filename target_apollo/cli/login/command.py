"""The command `apollo-sync login`: consent in a browser, tokens in the token file."""

from __future__ import annotations

import select
import sys
import threading
from collections.abc import Sequence
from contextlib import closing

import click

from target_apollo.apollo import ApolloClient, ApolloError, access_to
from target_apollo.apollo.oauth import pair_of
from target_apollo.apollo.urls import is_web_address
from target_apollo.cli.check.needs import needs_of
from target_apollo.cli.login.authorization import Authorization, NotGranted, NotThisLogin
from target_apollo.cli.login.listener import PATH, Listener
from target_apollo.cli.options import ApolloCommand, CommandFailed, config_option
from target_apollo.config.credentials import OAuthApp, transport_of
from target_apollo.config.settings import Settings, SettingsError
from target_apollo.config.sources import Source, read_settings
from target_apollo.model.objects.registry import ObjectKind
from target_apollo.sync.exit import OK
from target_apollo.system.shown import printable_lines

_AUTHORIZE_URL = "https://app.apollo.io/#/oauth/authorize"
_LONGEST_WAIT_SECONDS = 86_400
#: The port in the redirect address of --paste, where nothing listens.
_PASTE_PORT = 8400


def _web_address(
    context: click.Context,  # noqa: ARG001
    parameter: click.Parameter,  # noqa: ARG001
    url: str | None,
) -> str | None:
    if url is not None and not is_web_address(url):
        raise click.BadParameter("must start with https:// (http:// on this machine only)")
    return url


def _seconds(
    context: click.Context,  # noqa: ARG001
    parameter: click.Parameter,  # noqa: ARG001
    seconds: float,
) -> float:
    # click.FloatRange accepts "nan".
    if not 0 < seconds <= _LONGEST_WAIT_SECONDS:
        raise click.BadParameter(f"must be above 0 and at most {_LONGEST_WAIT_SECONDS}")
    return seconds


@click.command(
    cls=ApolloCommand,
    epilog="The redirect address must be one that is registered with the OAuth app in Apollo. Exit "
    "codes: 0 logged in; 2 wrong settings or client; 1 anything else, such as no consent.",
)
@config_option
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="N",
    help=f"listen on http://127.0.0.1:N{PATH} for the answer (default: a free port)",
)
@click.option(
    "--paste",
    is_flag=True,
    help="do not listen: read the address at which the browser ended from standard input, for a "
    "browser on another machine",
)
@click.option(
    "--redirect-uri",
    callback=_web_address,
    metavar="URL",
    help="a registered redirect address of another kind; implies --paste",
)
@click.option(
    "--scope",
    metavar="SCOPES",
    help="scopes to ask for, with blanks between (default: what a sync with these settings uses)",
)
@click.option(
    "--wait",
    type=float,
    callback=_seconds,
    default=300.0,
    metavar="SECONDS",
    help="how long to wait for the answer (default: 300)",
)
@click.option(
    "--authorize-url",
    callback=_web_address,
    default=_AUTHORIZE_URL,
    metavar="URL",
    help=f"page that asks for consent (default: {_AUTHORIZE_URL})",
)
def command(
    sources: Sequence[Source],
    port: int,
    paste: bool,
    redirect_uri: str | None,
    scope: str | None,
    wait: float,
    authorize_url: str,
) -> int:
    """Logs in to Apollo with OAuth 2.0.

    Prints the page on which a user allows access, waits for the answer, and writes the tokens to
    token_path, where the target finds and renews them. Needs the settings client_id and
    client_secret.
    """
    settings = read_settings(sources)
    if settings.api_key:
        raise SettingsError(
            [
                "The setting api_key needs no login: for OAuth 2.0 give client_id and "
                "client_secret in its place."
            ]
        )
    stop = threading.Event()
    app = OAuthApp.of(settings, stop)
    # If the token file can't be replaced, this raises now, before a code is used up.
    with app.token_file.locked(stop), app.token_file.successor():
        pass
    listener = None if paste or redirect_uri else _listener(port)
    authorization = Authorization(
        authorize_url,
        (settings.client_id or "").strip(),
        listener.redirect_uri
        if listener is not None
        else redirect_uri or f"http://127.0.0.1:{port or _PASTE_PORT}{PATH}",
        scope.split() if scope else _scopes_of(settings),
    )
    address = (
        _address_pasted(authorization, wait)
        if listener is None
        else _address_heard(listener, authorization, wait)
    )
    code = _code_in(authorization, address)
    with app.token_file.locked(stop), app.token_file.successor() as successor:
        grant = app.endpoint.exchange_code(
            code, redirect_uri=authorization.redirect_uri, verifier=authorization.verifier
        )
        successor.keep(app.login, pair_of(grant, ""))
    team = _team(settings, stop)
    _say(
        f"Logged in: target-apollo now writes to Apollo team {team} with the tokens in "
        f"{settings.token_path}, and renews them itself."
    )
    return OK


def _listener(port: int) -> Listener:
    """A listener on this machine, to whose address Apollo can send the browser.

    Raises:
        CommandFailed: The port can't be listened on.
    """
    try:
        return Listener(port)
    except OSError as problem:
        raise CommandFailed(
            f"Port {port} can't be listened on: {problem.strerror}. Give another --port whose "
            "redirect address is registered with the app, or use --paste."
        ) from None


def _address_heard(listener: Listener, asked: Authorization, wait: float) -> str:
    """The address to which Apollo sends the browser, from the browser's request to the listener.

    Raises:
        CommandFailed: The browser did not come within `wait` seconds.
    """
    with listener.listening(asked):
        _say(_invitation(asked))
        _say(f"Waiting up to {wait:g} seconds for the answer at {asked.redirect_uri} …")
        address = listener.wait(wait)
    if address is None:
        raise _too_late(wait)
    return address


def _address_pasted(asked: Authorization, wait: float) -> str:
    """The address to which Apollo sends the browser, as pasted to standard input.

    Raises:
        CommandFailed: Nothing was pasted within `wait` seconds.
    """
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
    """The authorization code in the address.

    Raises:
        CommandFailed: The address is another login's, or says that consent was refused.
    """
    try:
        return asked.code_in(address)
    except NotThisLogin:
        raise CommandFailed(
            "This address does not belong to the login that was started (its state or its code is "
            "missing or another): run `apollo-sync login` again and use the page that it prints."
        ) from None
    except NotGranted as refusal:
        why = f" ({refusal.reason})" if refusal.reason else ""
        raise CommandFailed(
            f"Access was not granted{why}: run `apollo-sync login` again, as a user of Apollo who "
            "may allow it, and with scopes that the app has (--scope)."
        ) from None


def _too_late(wait: float) -> CommandFailed:
    return CommandFailed(
        f"No answer came within {wait:g} seconds: run `apollo-sync login` again. If the browser is "
        "on another machine, use --paste."
    )


def _scopes_of(settings: Settings) -> list[str]:
    """The scopes of all endpoints that a sync with these settings may use."""
    scopes = {access_to(need.endpoint).scope for need in needs_of(settings, list(ObjectKind))}
    return sorted(scope for scope in scopes if scope)


def _team(settings: Settings, stop: threading.Event) -> str:
    """The id of the team that the new tokens belong to; asking for it proves that they work.

    Raises:
        CommandFailed: Apollo does not take the tokens.
    """
    try:
        with closing(transport_of(settings, stop)) as transport:
            return ApolloClient(transport).profile().team_id
    except ApolloError as problem:
        raise CommandFailed(
            f"The new tokens are in {settings.token_path}, but could not be tried out: {problem}"
        ) from None


def _say(text: str) -> None:
    sys.stdout.write(printable_lines(text) + "\n")
    sys.stdout.flush()
