"""A process that shares its OAuth token in a file and asks Apollo for the team of the token.

    python -m tests.helpers.renewing_process \
        TOKEN_URL API_URL TOKEN_PATH REFRESH_TOKEN REQUESTS [DEATH]

REFRESH_TOKEN may be empty. DEATH makes the process kill itself (SIGKILL) in the first refresh:
`before_asking`, `before_moving` (the new tokens are written to a temporary file) or `after_moving`.
The process prints a line when it is ready and waits for a line on standard input. Then it prints
the id of the team for each request, or the class and the sentence of the exception.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import Any, NoReturn

from target_apollo.apollo import ApolloClient, ApolloError, TokenEndpoint, TokenFile, Transport
from target_apollo.apollo.oauth import OAuth
from target_apollo.apollo.token_store import Login
from target_apollo.sandbox.serving.oauth import CLIENT_ID, CLIENT_SECRET


def die(*_: Any) -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


def arm(death: str) -> None:
    if death == "before_asking":
        TokenEndpoint.refresh = die  # type: ignore[method-assign,assignment]
    move = TokenFile._move_into_place

    def moved(file: TokenFile) -> None:
        if death == "after_moving":
            move(file)
        die()

    if death in ("before_moving", "after_moving"):
        TokenFile._move_into_place = moved  # type: ignore[method-assign,assignment]


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    token_url, api_url, path, refresh_token, requests, *death = sys.argv[1:]
    arm(*death or [""])
    stop = threading.Event()
    auth = OAuth(
        login=Login.of(token_url, CLIENT_ID, refresh_token or None),
        endpoint=TokenEndpoint(
            token_url=token_url,
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
            timeout_seconds=10,
            stop=stop,
        ),
        token_file=TokenFile(path),
        refresh_token=refresh_token or None,
        stop=stop,
    )
    transport = Transport(
        api_url=api_url,
        auth=auth,
        max_retries=2,
        request_timeout_seconds=10,
        max_wait_seconds=10,
        parallel_requests=1,
        stop=stop,
    )
    say("ready")
    sys.stdin.readline()
    for _ in range(int(requests)):
        try:
            say(ApolloClient(transport).profile().team_id)
        except ApolloError as problem:
            say(f"{type(problem).__name__}: {problem}")
        time.sleep(0.05)


if __name__ == "__main__":
    main()
