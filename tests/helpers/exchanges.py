"""Requests for tests, and answers that do not tell whether the request was carried out."""

from __future__ import annotations

from target_apollo.apollo import Request
from tests.helpers.http_server import Fault, Reply

CREATE = "POST /contacts/bulk_create"
WRITE = Request("POST", "/contacts/bulk_create", CREATE, body={"run_dedupe": True})
READ = Request("GET", "/labels", "GET /labels")
PAGE = "<html><body>502 Bad Gateway ann@example.com</body></html>"
LOST = {
    "a reset": Reply(fault=Fault.RESET),
    "a closed connection": Reply(fault=Fault.CLOSE),
    "fewer bytes than promised": Reply(body={"contacts": []}, fault=Fault.SHORT),
    "a whole JSON value in fewer bytes than promised": Reply(body=[], fault=Fault.SHORT),
    "a chunked answer without an end": Reply(body=[], fault=Fault.CHUNK_CUT),
    "a silent server": Reply(fault=Fault.SILENT),
    "408": Reply(408, body={"error": "Request timeout"}),
    "500 with JSON": Reply(500, body={"error": "An error occurred. Please try again."}),
    "502 with a page": Reply(502, body=PAGE, content_type="text/html"),
    "520 of the proxy": Reply(520, body="", content_type="text/html"),
    "half a JSON value": Reply(body='{"contacts": ['),
    "a page with status 200": Reply(body=PAGE, content_type="text/html"),
    "200 without a body": Reply(body=""),
    "204": Reply(204, body=""),
    "a body that claims to be zipped": Reply(headers={"Content-Encoding": "gzip"}, body="{}"),
    "JSON nested beyond reason": Reply(body="[" * 200_000 + "]" * 200_000),
}
