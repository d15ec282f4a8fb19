"""No web page but the sandbox's own reads or writes what people feed it; programs go on."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
import requests

from target_apollo.sandbox import Sandbox
from target_apollo.sandbox.serving.own_page import fault_of

KEY = {"x-api-key": "sandbox"}


def asked(
    apollo: Sandbox,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: object = None,
    hosts: tuple[str, ...] | None = None,
) -> tuple[int, str]:
    """Status and body of a request with exactly these headers; `{own}` is the sandbox's address."""
    own = urlsplit(apollo.url).netloc
    connection = http.client.HTTPConnection(own, timeout=20)
    sent = json.dumps(body).encode() if body is not None else b""
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for host in (own,) if hosts is None else hosts:
        connection.putheader("Host", host)
    for name, value in headers.items():
        connection.putheader(name, value.replace("{own}", own))
    connection.putheader("Content-Length", str(len(sent)))
    connection.endheaders(sent)
    answer = connection.getresponse()
    found = answer.status, answer.read().decode()
    connection.close()
    return found


#: What other pages send: by a rebound host name, by another origin, by a form, a frame, a script.
FOREIGN: dict[str, dict[str, str]] = {
    "origin": {"Origin": "https://evil.example"},
    "no origin": {"Origin": "null"},
    "other port": {"Origin": "http://127.0.0.1:1"},
    "other scheme": {"Origin": "ftp://{own}"},
    "like it": {"Origin": "http://{own}.evil.example"},
    "user": {"Origin": "http://{own}@evil.example"},
    "cross-site": {"Sec-Fetch-Site": "cross-site"},
    "same-site": {"Sec-Fetch-Site": "same-site"},
    "frame": {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "iframe",
    },
}
#: Each with a body that is answered if the sandbox's own page sends it.
DOORS = {
    "page": ("GET", "/", None),
    "contacts": ("GET", "/_sandbox/contacts", None),
    "requests": ("GET", "/_sandbox/requests", None),
    "options": ("POST", "/_sandbox/options", {}),
    "seed": ("POST", "/_sandbox/seed", {"contacts": [{"email": "evil@a.com"}]}),
    "api": ("POST", "/api/v1/contacts", {"email": "evil@a.com"}),
    "token": ("POST", "/api/v1/oauth/token", {}),
    "nothing": ("GET", "/docs", None),
    "asking": ("OPTIONS", "/_sandbox/seed", None),
}


@pytest.mark.parametrize("page", FOREIGN)
@pytest.mark.parametrize("door", DOORS)
def test_another_page_neither_reads_nor_writes(apollo: Sandbox, door: str, page: str) -> None:
    method, path, body = DOORS[door]
    apollo.store.add_contact(email="ann@a.com")

    status, said = asked(apollo, method, path, {**KEY, **FOREIGN[page]}, body)

    assert status == 403
    assert "page may" in said
    assert "ann@a.com" not in said
    assert [one["email"] for one in apollo.store.contacts()] == ["ann@a.com"]
    assert list(apollo.requests) == []


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8700", "127.0.0.1.evil.example", "localhost.evil.example",
     "evil.localhost.example", "127.0.0.1@evil.example", "a b", "[::1", ""],
)  # fmt: skip
@pytest.mark.parametrize("door", ["page", "contacts", "seed", "api"])
def test_a_host_name_that_is_not_its_own_is_refused(apollo: Sandbox, door: str, host: str) -> None:
    method, path, body = DOORS[door]

    status, said = asked(apollo, method, path, KEY, body, hosts=(host,))

    # The server itself refuses what can't be a host.
    assert status in (400, 403)
    assert list(apollo.store.contacts()) == []
    if status == 403:
        assert "This sandbox is not the host" in said
        assert "--host" in said


def test_a_second_host_is_refused(apollo: Sandbox) -> None:
    own = urlsplit(apollo.url).netloc
    assert asked(apollo, "GET", "/_sandbox/contacts", {}, hosts=(own, "evil.example"))[0] >= 400
    assert asked(apollo, "GET", "/_sandbox/contacts", {}, hosts=(own, own))[0] >= 400


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8700", "LOCALHOST", "localhost.", "apollo.localhost", "127.0.0.1:9",
     "192.168.1.7:8700", "[::1]:8700", "sandbox:8700", "host.docker.internal:8700"],
)  # fmt: skip
def test_addresses_of_this_machine_and_of_a_network_of_docker_are_answered(
    apollo: Sandbox, host: str
) -> None:
    for origin in ({}, {"Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}):
        assert asked(apollo, "GET", "/_sandbox/contacts", origin, hosts=(host,))[0] == 200
        assert asked(apollo, "POST", "/_sandbox/options", origin, {}, hosts=(host,))[0] == 200


def test_the_page_behind_a_proxy_that_adds_tls_goes_on(apollo: Sandbox) -> None:
    headers = {"Origin": "https://sandbox"}
    assert asked(apollo, "POST", "/_sandbox/options", headers, {}, hosts=("sandbox",))[0] == 200


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_its_own_page_reads_and_writes(apollo: Sandbox, site: str) -> None:
    own = {"Origin": "http://{own}", "Sec-Fetch-Site": site}
    for door in ("page", "contacts", "requests", "options", "seed"):
        method, path, body = DOORS[door]
        headers = own if method == "POST" else {"Sec-Fetch-Site": site}
        assert asked(apollo, method, path, headers, body)[0] == 200


def test_a_link_of_another_page_opens_its_page_and_nothing_else(apollo: Sandbox) -> None:
    link = {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
    }
    assert asked(apollo, "GET", "/", link)[0] == 200
    assert asked(apollo, "GET", "/_sandbox/contacts", link)[0] == 403
    assert asked(apollo, "POST", "/_sandbox/seed", link, {})[0] == 403


def test_no_page_shows_its_page_in_a_frame(apollo: Sandbox) -> None:
    headers = requests.get(apollo.url.removesuffix("/api/v1") + "/", timeout=20).headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"].split("; ")
    assert headers["x-frame-options"] == "DENY"


def test_no_answer_lets_another_origin_read_it(apollo: Sandbox) -> None:
    for _, path, _ in DOORS.values():
        url = apollo.url.removesuffix("/api/v1") + path
        headers = requests.get(url, headers={"Origin": "https://evil.example"}, timeout=20).headers
        assert not [name for name in headers if name.lower().startswith("access-control")]


def test_a_refusal_shows_a_host_without_control_characters() -> None:
    said = fault_of("GET", "/", [(b"host", b"\x1b[2J" + b"x" * 5000 + b".example")], ())
    assert said is not None
    assert said.isprintable()
    assert len(said) < 400


@contextmanager
def started(*arguments: str) -> Iterator[str]:
    command = [sys.executable, "-m", "target_apollo.sandbox", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().decode().rpartition(" ")[2].strip()
        finally:
            process.terminate()


def test_the_name_that_it_was_started_with_is_its_own() -> None:
    with started("--host", "localhost") as url:
        assert requests.get(f"{url}/auth/health", timeout=20).status_code == 200
        page = url.removesuffix("/api/v1") + "/_sandbox/contacts"
        refused = requests.get(page, headers={"Host": "evil.example"}, timeout=20)
    assert refused.status_code == 403
    own = {"apollo.team.example"}
    assert fault_of("GET", "/", [(b"host", b"Apollo.Team.example:87")], own) is None


@pytest.mark.full
def test_bound_to_all_interfaces_it_answers_its_page_and_refuses_others() -> None:
    with started("--host", "0.0.0.0") as url:
        port = urlsplit(url).port
        for host in ("127.0.0.1", "localhost"):
            base = f"http://{host}:{port}"
            own = {"Origin": base, "Sec-Fetch-Site": "same-origin"}
            answer = requests.post(f"{base}/_sandbox/seed", json={}, headers=own, timeout=20)
            assert answer.status_code == 200
            other = {"Origin": "http://evil.example"}
            answer = requests.post(f"{base}/_sandbox/seed", json={}, headers=other, timeout=20)
            assert answer.status_code == 403
