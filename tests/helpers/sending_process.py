"""A process that sends requests as fast as the pacing allows.

Arguments: the URL, the number of requests, and the lengths of the rate windows in seconds.
"""

from __future__ import annotations

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from target_apollo.apollo import ApiKeyAuth, Request, Transport

ASK = Request("POST", "/contacts/search", "POST /contacts/search", body={"q_keywords": "x"})

if __name__ == "__main__":
    url, requests, *lengths = sys.argv[1:]
    transport = Transport(
        api_url=url,
        auth=ApiKeyAuth("sandbox"),
        max_retries=2,
        request_timeout_seconds=20,
        max_wait_seconds=100,
        parallel_requests=4,
        stop=threading.Event(),
        window_seconds=[float(length) for length in lengths],
    )
    with ThreadPoolExecutor(4) as pool:
        for sent in [pool.submit(transport.send, ASK) for _ in range(int(requests))]:
            sent.result()
    sys.stdout.write(json.dumps(transport.counters.snapshot()))
