"""The host of a company's site, and its registrable domain by the public suffix list."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from publicsuffixlist import PublicSuffixList

from target_apollo.model.outcomes import Reason, RecordError
from target_apollo.model.texts.domains import bare_host, domain, registrable_of
from tests.model.test_values import hosts

quick = settings(deadline=None, max_examples=25)

plain_hosts = hosts.filter(lambda host: not host.startswith("www."))

suffixes = st.sampled_from(
    [
        *("com", "co.uk", "uk", "de", "jp", "kawasaki.jp", "city.kawasaki.jp", "ck", "www.ck"),
        *("github.io", "io", "cn", "xn--55qw42g.cn", "con", "kobe.jp", "compute.amazonaws.com"),
    ]
)
labels = st.sampled_from(
    ["www", "acme", "co", "city", "xn--55qw42g", "github", "a-b", "-", "", "x" * 63, "x" * 64, "A"]
) | st.from_regex(r"[a-z0-9-]{1,8}", fullmatch=True)
suffixed_hosts = st.builds(
    lambda labels, suffix: ".".join([*labels, suffix]), st.lists(labels, max_size=3), suffixes
)
library = PublicSuffixList(accept_unknown=False)


@given(st.lists(suffixed_hosts, min_size=1, max_size=10))
def test_the_answer_does_not_depend_on_the_hosts_asked_before(asked: list[str]) -> None:
    for host in asked:
        bare = bare_host(host)
        assert bare is None or registrable_of(bare) == library.privatesuffix(bare)


@quick
@given(
    plain_hosts,
    st.sampled_from(["", "http://", "https://", "HTTPS://", "//"]),
    st.sampled_from(["", "www.", "WWW."]),
    st.sampled_from(["", ":443", ":8080"]),
    st.sampled_from(["", "/", "/a/b?c=d", "?utm=x", "#top"]),
)
def test_every_notation_of_a_site_is_one_domain(
    host: str, scheme: str, www: str, port: str, path: str
) -> None:
    assert domain("domain", f" {scheme}{www}{host.upper()}{port}{path} ") == host


@pytest.mark.parametrize(
    ("written", "host"),
    [
        ("Müller.example", "xn--mller-kva.example"),
        ("https://www.例え.テスト/", "xn--r8jz45g.xn--zckzah"),
        ("xn--mller-kva.example", "xn--mller-kva.example"),
        ("www．example．com", "example.com"),
        ("example.com.", "example.com"),
        ("www.com", "www.com"),
    ],
)
def test_a_domain_is_spelled_in_ascii(written: str, host: str) -> None:
    assert domain("domain", written) == host


@pytest.mark.parametrize(
    "value",
    [
        "localhost",
        "1.2.3.4",
        "http://[::1]/",
        "acme",
        "acme .com",
        "acme.com, other.com",
        "-acme.com",
        "http://",
        "http://[",
        "//",
        "acme..com",
        f"{'a' * 64}.com",
        f"{'a.' * 130}com",
    ],
)
def test_what_names_no_host_is_refused(value: str) -> None:
    with pytest.raises(RecordError) as refused:
        domain("domain", value)
    assert refused.value.rejection.reason is Reason.MALFORMED_DOMAIN


@quick
@given(plain_hosts)
def test_an_e_mail_address_is_no_domain(host: str) -> None:
    with pytest.raises(RecordError):
        domain("domain", f"ada@{host}")
