"""The command `apollo-sync login`: consent in a browser, tokens in the token file.

What a login asks the authorization server, and what its answer means. Pure, but for chance.

Sources: RFC 6749 section 4.1 (code and state), RFC 7636 (PKCE, S256), and Apollo's page for
partners: a user without the permission comes back with `status_code` and `error_message`.

The loopback address to which the browser brings the answer (RFC 8252, section 7.3).
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import math
import queue
import re
import secrets
import select
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

from target_apollo.apollo import ApolloClient, ApolloError, Transport, access_to
from target_apollo.apollo.oauth import pair_of
from target_apollo.apollo.urls import is_web_address
from target_apollo.cli.check.needs import needs_of
from target_apollo.config.credentials import OAuthApp, auth_of
from target_apollo.config.settings import Settings, SettingsError
from target_apollo.config.sources import add_config_argument, read_settings
from target_apollo.model.objects import ObjectKind
from target_apollo.sync.exit import FAILED, MISCONFIGURED, OK, ending_of

_CODE = re.compile(r"[A-Za-z0-9_]{1,60}")


class NotThisLogin(Exception):
    """An answer that does not belong to the login that was started: its state is another."""


class NotGranted(Exception):
    """The user or Apollo said no. `reason`: a code such as ``access_denied``, or empty."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Authorization:
    """One request for consent; `state` and `verifier` are known to this process alone."""

    authorize_url: str
    client_id: str
    redirect_uri: str
    scopes: Collection[str]
    state: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48), repr=False)

    @property
    def url(self) -> str:
        """The page to open. Apollo's is inside a fragment, and so are its parameters."""
        parameters = {
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "response_type": "code",
            "scope": " ".join(self.scopes),
            "state": self.state,
            "code_challenge": challenge_of(self.verifier),
            "code_challenge_method": "S256",
        }
        return f"{self.authorize_url}?{urlencode(parameters)}"

    def code_in(self, address: str) -> str:
        """The code in the address to which the browser was sent back.

        Raises:
            NotGranted: There is no code because consent was refused.
            NotThisLogin: State or code is missing or wrong.
        """
        try:
            query = parse_qs(urlsplit(address).query)
        except ValueError:
            raise NotThisLogin from None
        sent = {name: values[0] for name, values in query.items()}
        # A refusal of Apollo's carries no state; the worst that a forged one does is end a login.
        if "code" not in sent and ("error" in sent or "status_code" in sent):
            raise NotGranted(_word(sent.get("error")) or _word(sent.get("status_code")))
        is_ours = secrets.compare_digest(
            sent.get("state", "").encode("utf-8", "surrogatepass"), self.state.encode()
        )
        if not is_ours or "code" not in sent:
            raise NotThisLogin
        return sent["code"]


def challenge_of(verifier: str) -> str:
    """PKCE's S256 challenge of a verifier."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _word(text: str | None) -> str:
    return text if text and _CODE.fullmatch(text) else ""


PATH = "/callback"
# A browser opens connections ahead of need and sends nothing on them.
_SILENCE_SECONDS = 10


class Listener:
    """Waits on 127.0.0.1 for the browser. `judge` says whether an address is the awaited one."""

    def __init__(self, port: int, judge: Callable[[str], bool]) -> None:
        self._judge = judge
        self._found: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._server = _Server(("127.0.0.1", port), self)

    @property
    def redirect_uri(self) -> str:
        """Where Apollo is to send the browser."""
        return f"http://127.0.0.1:{self._server.server_address[1]}{PATH}"

    def take(self, address: str) -> bool:
        """Keep the address that a browser asked for, if it is the awaited one; return whether."""
        if not self._judge(address):
            return False
        self._found.put(address)
        return True

    def wait(self, seconds: float) -> str | None:
        """The address, or None where it did not come in time."""
        try:
            return self._found.get(timeout=seconds)
        except queue.Empty:
            return None

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Answer the browser meanwhile; the port is free again afterwards."""
        thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="login", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], listener: Listener) -> None:
        self.listener = listener
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing: the address in a traceback holds the code."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _SILENCE_SECONDS

    def do_GET(self) -> None:
        """Take the answer; any other page does not exist."""
        if urlsplit(self.path).path != PATH:
            self._say(404, "There is nothing here.")
        elif self.server.listener.take(self.path):
            self._say(200, "Apollo has answered. Go back to the terminal; this page can be closed.")
        else:
            self._say(400, "This answer belongs to another login and was not used.")

    def _say(self, status: int, sentence: str) -> None:
        page = f"<!doctype html><title>apollo-sync login</title><p>{sentence}</p>".encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Says nothing: the address holds the code."""


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
