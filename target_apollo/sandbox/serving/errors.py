"""The error answers of the API, with the statuses and texts of Apollo's reference.

Each function makes a `Refusal`.
"""

from __future__ import annotations

from typing import Any

INVALID_KEY = (
    "Invalid API key. See https://docs.apollo.io/reference/authentication for how to authenticate."
)


class Refusal(Exception):
    """An answer other than a success: ``body`` is sent as JSON, or as text/plain if it is a str."""

    def __init__(self, status: int, body: dict[str, Any] | str) -> None:
        super().__init__(f"{status}")
        self.status = status
        self.body = body


def unprocessable(error: str, **more: Any) -> Refusal:
    """422 with Apollo's ``error`` text."""
    return Refusal(422, {"error": error, **more})


def bad_id(value: object, *, names_value: bool) -> Refusal:
    """422 for an id that is malformed or that no record of the team has."""
    if names_value:
        return unprocessable(f"Parameters misconfigured. {value} is not a valid ID")
    return unprocessable("There is something wrong with your request.")


def invalid_key() -> Refusal:
    """401 in plain text: the key is missing or wrong."""
    return Refusal(401, INVALID_KEY)


def invalid_token() -> Refusal:
    """401 as JSON: the OAuth access token is unknown, revoked or expired."""
    return Refusal(
        401, {"error": "Invalid access credentials.", "error_code": "INVALID_ACCESS_TOKEN"}
    )


def key_not_allowed(entry: str) -> Refusal:
    """403: the API key's list of endpoints lacks this one."""
    return Refusal(
        403,
        {
            "error": f"This API key is not authorized to access {entry}. Request an API key from "
            "your administrator that includes this endpoint in its configured scope.",
            "error_code": "API_INACCESSIBLE",
        },
    )


def token_not_allowed(entry: str) -> Refusal:
    """403: the access token's scopes lack this endpoint."""
    return Refusal(
        403,
        {
            "error": f"{entry} is not accessible with this access token",
            "error_code": "API_INACCESSIBLE",
        },
    )


def not_found() -> Refusal:
    """404 for a route that does not exist."""
    return Refusal(404, {"status": 404, "error": "Not Found"})


def not_allowed() -> Refusal:
    """405 for a method that a route does not have."""
    return Refusal(405, {"status": 405, "error": "Method Not Allowed"})


def record_not_found(kind: str, record_id: str) -> Refusal:
    """404 for a record, in the form that the endpoints of lists document."""
    return Refusal(
        404,
        {"message": f"Could not find {kind} with id {record_id}", "error": "Record not found."},
    )


def too_many_calls(controller: str, limit: int, window: str) -> Refusal:
    """429 for a used-up rate window. Apollo's text names no service before the path."""
    controller = controller[controller.index("api/v1/") :]
    return Refusal(
        429,
        {
            "message": f"The maximum number of api calls allowed for {controller} is {limit} times "
            f"per {window}. Please upgrade your plan from "
            "https://app.apollo.io/#/settings/plans/upgrade?source=api_rate_limit.",
            "error_details": {"code": "USAGE.RATE_LIMIT.API_RATE_LIMIT_EXCEEDED"},
        },
    )
