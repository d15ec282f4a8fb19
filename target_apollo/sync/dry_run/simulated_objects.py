"""What Apollo would answer to requests that write objects besides contacts and accounts. Pure.

A row of these objects is known by the ledger and the run alone, so an answer only has to confirm
what was sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from target_apollo.apollo import Request
from target_apollo.model.objects import Json

#: Endpoint -> the answer to a request.
ANSWERS: Mapping[str, Callable[[Request], Json]] = {}


def simulated_answer(request: Request) -> Json | None:
    """The answer to a request; None if it writes none of these objects."""
    answer = ANSWERS.get(request.endpoint)
    return answer(request) if answer is not None else None
