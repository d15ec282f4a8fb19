from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_apollo.apollo import check_api_url
from target_apollo.apollo.http import origin_of
from target_apollo.apollo.urls import is_loopback


@pytest.mark.parametrize(
    ("given_", "normal"),
    [
        ("https://api.apollo.io/api/v1", "https://api.apollo.io/api/v1"),
        (" HTTPS://API.Apollo.io/api/v1// ", "https://api.apollo.io/api/v1"),
        ("https://api.apollo.io:8443", "https://api.apollo.io:8443"),
        ("http://localhost:8700/api/v1/", "http://localhost:8700/api/v1"),
        ("http://127.0.0.1:8700", "http://127.0.0.1:8700"),
        ("http://[::1]:8700/api", "http://[::1]:8700/api"),
    ],
)
def test_an_address_is_brought_to_its_normal_form(given_: str, normal: str) -> None:
    assert check_api_url(given_) == normal


@pytest.mark.parametrize(
    "url",
    [
        "http://api.apollo.io/api/v1",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://localhost@example.com",
        "https://someone:something@api.apollo.io",
        "https://something@api.apollo.io",
        "https://api.apollo.io/?key=something",
        "https://api.apollo.io/#something",
        "https://api.apollo.io\\@example.com",
        "https://api apollo.io",
        "https://api.apollo.io/\nHost: example.com",
        "https://api.apollo.io:port",
        "https://api.apollo.io:99999",
        "https://[::1",
        "https://",
        "https:api.apollo.io",
        "api.apollo.io",
        "ftp://api.apollo.io",
        "file:///etc/hosts",
        "",
    ],
)
def test_any_other_address_is_refused_by_the_setting_s_name_alone(url: str) -> None:
    with pytest.raises(ValueError, match="setting api_url") as caught:
        check_api_url(url)

    assert "something" not in str(caught.value)


hosts = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,20}[A-Za-z0-9])?", fullmatch=True)
paths = st.from_regex(r"(/[A-Za-z0-9._~-]{0,9}){0,4}/*", fullmatch=True)


@given(hosts, st.integers(min_value=1, max_value=65535) | st.none(), paths)
def test_the_normal_form_is_final_and_keeps_the_origin(
    host: str, port: int | None, path: str
) -> None:
    url = f"https://{host}{'' if port is None else f':{port}'}{path}"

    normal = check_api_url(url)

    assert check_api_url(normal) == normal
    assert origin_of(normal) == origin_of(url) == ("https", host.lower(), port or 443)
    assert not normal.endswith("/")


def outcome(url: str) -> str:
    try:
        return check_api_url(url)
    except ValueError as refused:
        return str(refused)


@given(st.text() | st.text().map("https://{}".format) | st.text().map("http://localhost{}".format))
def test_any_text_is_refused_by_the_setting_s_name_or_is_an_address(text: str) -> None:
    said = outcome(text)

    assert "setting api_url" in said or said.startswith(("https://", "http://localhost"))


def test_the_default_port_is_part_of_an_origin() -> None:
    assert origin_of("https://api.apollo.io/x") == origin_of("https://API.apollo.io:443/y")
    assert origin_of("https://api.apollo.io") != origin_of("http://api.apollo.io")
    assert origin_of("https://api.apollo.io") != origin_of("https://api.apollo.io:8443")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_this_machine_has_several_names(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "localhost.localdomain", "127.1", ""])
def test_other_names_are_other_machines(host: str) -> None:
    assert not is_loopback(host)
