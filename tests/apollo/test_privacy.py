"""No exception and no log line shows a key, an e-mail or the text of an answer."""

from __future__ import annotations

import json
import logging
import traceback
from typing import TYPE_CHECKING

import pytest

from target_apollo.apollo import CONTACT_ENDPOINTS as CONTACTS
from target_apollo.apollo import ApolloClient, ApolloError, Transport, Wait
from tests.apollo.conftest import KEY
from tests.helpers.exchanges import LOST
from tests.helpers.http_server import Fault, Reply, Server

if TYPE_CHECKING:
    from collections.abc import Callable

EMAIL = "ann.secret@example.com"
PAGE = f"<html><body>{EMAIL} {KEY}</body></html>"
TEXT = f"{EMAIL} with {KEY} is wrong"
SAID = {"error": TEXT, "message": TEXT, "error_code": TEXT, "error_details": {"field": TEXT}}

FAULTS = {
    **LOST,
    **{f"{status} with text": Reply(status, body=SAID) for status in (400, 401, 403, 404, 408)},
    **{f"{status} with text": Reply(status, body=SAID) for status in (409, 422, 429, 500, 503)},
    **{
        f"{status} with a page": Reply(status, body=PAGE, content_type="text/html")
        for status in (200, 400, 401, 403, 404, 422, 429, 502)
    },
    **{
        f"{status} with plain text": Reply(status, body=TEXT, content_type="text/plain")
        for status in (200, 400, 401, 403, 422, 429)
    },
    "429 with a long wait": Reply(429, body=SAID, headers={"Retry-After": "4000"}),
    "429 with an odd wait": Reply(429, body=SAID, headers={"Retry-After": TEXT}),
    "a redirect": Reply(302, headers={"Location": f"http://{EMAIL}/{KEY}"}),
    "a redirect to nowhere": Reply(302, headers={"Location": f"http://[{KEY}"}),
    "another shape": Reply(body={EMAIL: KEY, "contact": {"id": EMAIL}}),
    "a list": Reply(body=[EMAIL]),
    "records without a list": Reply(
        body={"created_contacts": {"email": EMAIL}, "existing_contacts": []}
    ),
    "half a value": Reply(body=json.dumps({"contact": {"email": EMAIL}})[:-5]),
    "a zipped fault": Reply(422, body=SAID, zipped=True),
    "a cut refusal": Reply(422, body=SAID, fault=Fault.SHORT),
}

CALLS: dict[str, Callable[[ApolloClient], object]] = {
    "create": lambda client: client.create(CONTACTS, [{"email": EMAIL}]),
    "update": lambda client: client.update(CONTACTS, "66e34b81740c50074e3d1bd4", {"email": EMAIL}),
    "search": lambda client: client.search(CONTACTS, EMAIL),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
def test_nothing_private_is_said_about_a_fault(
    server: Server,
    connect: Callable[..., Transport],
    waits: list[Wait],
    caplog: pytest.LogCaptureFixture,
    fault: Reply,
    call: Callable[[ApolloClient], object],
) -> None:
    caplog.set_level(logging.DEBUG)
    server.default = lambda _: fault
    transport = connect(max_retries=1, request_timeout_seconds=0.1)

    with pytest.raises(ApolloError) as caught:
        call(ApolloClient(transport))

    # What every exception in the chain says, as a traceback would print it.
    said = [repr(caught.value), caplog.text, repr(waits)]
    link: traceback.TracebackException | None = traceback.TracebackException.from_exception(
        caught.value
    )
    while link is not None:
        said += link.format_exception_only()
        link = link.__cause__ or link.__context__
    for text in said:
        assert EMAIL not in text
        assert KEY not in text
        assert "secret" not in text


def test_what_is_handed_around_does_not_show_its_contents(
    server: Server, transport: Transport
) -> None:
    server.answers(
        Reply(body={"created_contacts": [{"id": "1", "email": EMAIL}], "existing_contacts": []})
    )

    created = ApolloClient(transport).create(CONTACTS, [{"email": EMAIL}])

    assert created.created[0]["email"] == EMAIL
    assert EMAIL not in repr(created)
    assert KEY not in repr(vars(transport))
