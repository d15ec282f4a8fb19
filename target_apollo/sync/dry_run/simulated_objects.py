"""What Apollo would answer to requests that write objects besides contacts and accounts. Pure.

A row of these objects is known by the ledger and the run alone, so an answer only has to confirm
what was sent.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping

from target_apollo.apollo import Request, endpoints
from target_apollo.model.objects.registry import Json


def _made_deal(request: Request) -> Json:
    return {"opportunity": {**(request.body or {}), "id": _new_id(request)}}


def _changed_deal(request: Request) -> Json:
    return {"opportunity": {**(request.body or {}), "id": request.path.rpartition("/")[2]}}


def _made_task(request: Request) -> Json:
    return {"task": {**(request.body or {}), "id": _new_id(request)}}


def _changed_task(request: Request) -> Json:
    task_id = request.path.removeprefix("/tasks/").partition("/")[0]
    return {"task": {"status": "scheduled", **(request.body or {}), "id": task_id}}


def _new_id(request: Request) -> str:
    """An id of Apollo's form; one for each record, since no two of a run have all values alike."""
    return hashlib.sha256(json.dumps(request.body, sort_keys=True).encode()).hexdigest()[:24]


def _enrolled(request: Request) -> Json:
    """All contacts join; the ledger knows those that are in a sequence already."""
    params = request.params or {}
    sequence = params["emailer_campaign_id"]
    return {
        "contacts": [
            {"id": one, "emailer_campaign_ids": [sequence]} for one in params["contact_ids[]"]
        ],
        "skipped_contact_ids": {},
        "emailer_campaign": {"id": sequence},
    }


def _left_sequence(request: Request) -> Json:
    params = request.params or {}
    return {
        "contacts": [{"id": one, "emailer_campaign_ids": []} for one in params["contact_ids[]"]]
    }


#: Endpoint -> the answer to a request.
ANSWERS: Mapping[str, Callable[[Request], Json]] = {
    endpoints.CREATE_DEAL: _made_deal,
    endpoints.UPDATE_DEAL: _changed_deal,
    endpoints.ADD_TO_SEQUENCE: _enrolled,
    endpoints.LEAVE_SEQUENCES: _left_sequence,
    endpoints.CREATE_TASK: _made_task,
    endpoints.UPDATE_TASK: _changed_task,
    endpoints.COMPLETE_TASK: _changed_task,
    endpoints.SKIP_TASK: _changed_task,
}


def simulated_answer(request: Request) -> Json | None:
    """The answer to a request; None if it writes none of these objects."""
    answer = ANSWERS.get(request.endpoint)
    return answer(request) if answer is not None else None
