"""The credentials of settings, a key or OAuth tokens that renew themselves, and a transport."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from requests.auth import AuthBase

from target_apollo.apollo import (
    ApiKeyAuth,
    Login,
    NoAccessToken,
    OAuth,
    TokenEndpoint,
    TokenFile,
    Transport,
    Wait,
)
from target_apollo.config.settings import Settings, SettingsError


def auth_of(settings: Settings, stop: threading.Event) -> AuthBase:
    """The credentials of the settings, for the requests of a run.

    Args:
        stop: Ends every wait for a token when set.

    Raises:
        SettingsError: The key has characters that can't be sent, there is no refresh token, or the
            token file can't be read.
    """
    try:
        if settings.api_key:
            return ApiKeyAuth(settings.api_key)
        return _oauth(settings, stop)
    except ValueError as problem:
        raise SettingsError([str(problem)]) from None
    except NoAccessToken as problem:
        raise SettingsError([str(problem)]) from None


def transport_of(
    settings: Settings,
    stop: threading.Event,
    *,
    quota_share: float = 1.0,
    learns_limits: bool = False,
    on_wait: Callable[[Wait], None] | None = None,
) -> Transport:
    """A transport for what is no run: it sends one request at a time.

    Args:
        stop: Ends every wait when set.
        quota_share, learns_limits, on_wait: As of `Transport`.

    Raises:
        SettingsError: As `auth_of`.
    """
    return Transport(
        api_url=settings.api_url,
        auth=auth_of(settings, stop),
        max_retries=settings.max_retries,
        request_timeout_seconds=settings.request_timeout_seconds,
        max_wait_seconds=settings.max_wait_seconds,
        parallel_requests=1,
        stop=stop,
        on_wait=on_wait,
        quota_share=quota_share,
        learns_limits=learns_limits,
    )


@dataclass(frozen=True)
class OAuthApp:
    """The OAuth settings: the login, the endpoint that renews its tokens, the file with them."""

    login: Login
    endpoint: TokenEndpoint
    token_file: TokenFile
    refresh_token: str | None

    @classmethod
    def of(cls, settings: Settings, stop: threading.Event) -> OAuthApp:
        """The app of settings with `client_id` and `client_secret`.

        Raises:
            ValueError: Secrets must not be sent to the setting `oauth_token_url`.
        """
        # Secrets that come from a file often end in a line break.
        client_id = (settings.client_id or "").strip()
        refresh_token = (settings.refresh_token or "").strip() or None
        endpoint = TokenEndpoint(
            token_url=settings.oauth_token_url,
            client_id=client_id,
            client_secret=(settings.client_secret or "").strip(),
            timeout_seconds=settings.request_timeout_seconds,
            stop=stop,
        )
        return cls(
            login=Login.of(endpoint.token_url, client_id, refresh_token),
            endpoint=endpoint,
            token_file=TokenFile(settings.token_path),
            refresh_token=refresh_token,
        )

    def __repr__(self) -> str:
        return "OAuthApp(…)"


def _oauth(settings: Settings, stop: threading.Event) -> OAuth:
    app = OAuthApp.of(settings, stop)
    if app.refresh_token is None and app.token_file.find(app.login) is None:
        raise SettingsError(
            [
                "The setting 'refresh_token' is missing, and there are no tokens of this client_id "
                f"in {settings.token_path} (setting token_path): run `apollo-sync login`, or give "
                "a refresh_token."
            ]
        )
    return OAuth(
        login=app.login,
        endpoint=app.endpoint,
        token_file=app.token_file,
        refresh_token=app.refresh_token,
        stop=stop,
    )
