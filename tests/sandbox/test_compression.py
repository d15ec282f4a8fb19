"""Answers packed with gzip, as Apollo's edge packs them."""

from __future__ import annotations

import gzip
import threading
from typing import Any

import pytest
import requests

from target_apollo.apollo import ApiKeyAuth, ApolloClient, Transport
from target_apollo.apollo.endpoints import CONTACT_ENDPOINTS
from target_apollo.sandbox import Sandbox

BODY = {"contacts": [{"email": "packed@example.com"}], "run_dedupe": True}


def raw(sandbox: Sandbox, accepts: str | None, path: str = "/contacts/bulk_create") -> Any:
    """The answer's headers and its body as it is on the wire."""
    with requests.Session() as session:
        session.trust_env = False
        answer = session.post(
            sandbox.url + path,
            json=BODY,
            headers={"x-api-key": sandbox.api_key, "accept-encoding": accepts},
            stream=True,
            timeout=20,
        )
        return answer.headers, answer.raw.read(decode_content=False)


def test_a_long_answer_is_packed_for_a_client_that_takes_gzip(apollo: Sandbox) -> None:
    headers, body = raw(apollo, "gzip")
    assert headers["content-encoding"] == "gzip"
    assert headers["content-length"] == str(len(body))
    assert b"packed@example.com" in gzip.decompress(body)


@pytest.mark.parametrize("accepts", [None, "identity", "br", "gzip;q=0", "gzip; q=0.0"])
def test_an_answer_is_plain_for_a_client_that_does_not(
    apollo: Sandbox, accepts: str | None
) -> None:
    headers, body = raw(apollo, accepts)
    assert "content-encoding" not in headers
    assert b"packed@example.com" in body


@pytest.mark.parametrize("accepts", ["gzip", "br, gzip", "GZIP;q=0.5", "deflate;q=0, gzip;q=1.0"])
def test_gzip_is_found_among_the_codings_a_client_names(apollo: Sandbox, accepts: str) -> None:
    assert raw(apollo, accepts)[0]["content-encoding"] == "gzip"


def test_a_short_answer_is_not_packed(apollo: Sandbox) -> None:
    headers, body = raw(apollo, "gzip", path="/nowhere")
    assert "content-encoding" not in headers
    assert b"Not Found" in body


def test_packing_can_be_switched_off(apollo: Sandbox) -> None:
    apollo.set_options(gzip_answers=False)
    assert "content-encoding" not in raw(apollo, "gzip")[0]


def test_the_targets_client_reads_packed_answers(apollo: Sandbox) -> None:
    transport = Transport(
        api_url=apollo.url,
        auth=ApiKeyAuth(apollo.api_key),
        max_retries=0,
        request_timeout_seconds=20,
        max_wait_seconds=0,
        parallel_requests=1,
        stop=threading.Event(),
    )
    try:
        answer = ApolloClient(transport).create(
            CONTACT_ENDPOINTS, [{"email": "unpacked@example.com"}]
        )
    finally:
        transport.close()
    assert [contact["email"] for contact in answer.created] == ["unpacked@example.com"]
