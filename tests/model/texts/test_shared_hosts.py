"""Hosts that many companies share are told from a company's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import target_apollo
from target_apollo.model.outcomes import Reason, RecordError
from target_apollo.model.texts.domains import (
    allowed_hosts,
    bare_host,
    company_domain,
    shared_fault,
    shared_host,
)
from tests.model.test_values import hosts

quick = settings(deadline=None, max_examples=50)

LIST = Path(target_apollo.__file__).parent / "model" / "texts" / "shared_hosts.txt"
LINES = [line for line in LIST.read_text("ascii").splitlines() if line and not line.startswith("#")]
ENTRIES = [line.split()[0] for line in LINES if not line.startswith("[")]
ALONE = [line.split()[0] for line in LINES if line.endswith(" alone")]
WORLDWIDE = [name.removesuffix(".*") for name in ENTRIES if name.endswith(".*")]
PLAIN = [name for name in ENTRIES if not name.endswith(".*")]
WHOLE = [name for name in PLAIN if name not in ALONE]

SHARED = [
    ("https://www.facebook.com/corner.cafe", "facebook.com"),
    ("https://de-de.facebook.com/pg/corner.cafe/about", "facebook.com"),
    ("linkedin.com/company/acme", "linkedin.com"),
    ("https://uk.linkedin.com/company/acme", "linkedin.com"),
    ("instagram.com/corner.cafe", "instagram.com"),
    ("https://x.com/acme", "x.com"),
    ("twitter.com/acme", "twitter.com"),
    ("https://www.youtube.com/@acme", "youtube.com"),
    ("www.xing.com/pages/acme", "xing.com"),
    ("https://www.yelp.co.uk/biz/corner-cafe", "yelp.*"),
    ("https://maps.google.com/?cid=123", "google.*"),
    ("https://www.google.de/maps/place/Corner+Cafe", "google.*"),
    ("https://sites.google.com/view/acme", "sites.google.com"),
    ("https://docs.google.com/document/d/1", "docs.google.com"),
    ("https://g.page/corner-cafe", "g.page"),
    ("https://www.amazon.co.uk/stores/acme", "amazon.*"),
    ("amazon.com.br", "amazon.*"),
    ("https://www.ebay.de/str/acme", "ebay.*"),
    ("https://www.etsy.com/shop/acme", "etsy.com"),
    ("https://linktr.ee/foo", "linktr.ee"),
    ("bit.ly/3acme", "bit.ly"),
    ("https://wa.me/4915112345678", "wa.me"),
    ("https://github.com/acme", "github.com"),
    ("https://apps.apple.com/de/app/acme/id1", "apps.apple.com"),
    ("https://medium.com/@acme", "medium.com"),
    ("https://acme.notion.site.notion.so/x", "notion.so"),
    ("carrd.co", "carrd.co"),
    ("myshopify.com", "myshopify.com"),
    ("https://wixsite.com", "wixsite.com"),
    ("github.io", "github.io"),
    ("www.co.uk", "co.uk"),
]
OWN = [
    "acme.com",
    "https://shop.acme.co.uk/about",
    "acme.myshopify.com",
    "acme.github.io",
    "acme.wixsite.com",
    "acme.carrd.co",
    "acme.medium.com",
    "acme.substack.com",
    "acme.wordpress.com",
    # A name that begins or ends like a shared one is another company's.
    "myfacebook.com",
    "facebook.com.acme.de",
    "facebook-marketing.de",
    "x.company",
    "amazon.jobs",
    "amazon.acme.com",
    "amazon.github.io",
    "meta.com",
    "apple.com",
    "microsoft.com",
    # An unknown ending is no reason: it may be a name inside a company.
    "acme.intranet",
    "firm.example",
]


def listed(written: str) -> str | None:
    host = bare_host(written)
    assert host is not None
    found = shared_host(host)
    return found and found.name


@pytest.mark.parametrize(("written", "name"), SHARED)
def test_a_page_on_a_shared_host_is_known_by_its_host(written: str, name: str) -> None:
    assert listed(written) == name


@pytest.mark.parametrize("written", OWN)
def test_a_company_s_own_host_is_no_shared_one(written: str) -> None:
    assert listed(written) is None


@quick
@given(st.sampled_from(WHOLE), st.lists(st.sampled_from(["m", "de", "shop", "a-b"]), max_size=3))
def test_the_hosts_under_a_shared_one_are_shared_too(host: str, under: list[str]) -> None:
    assert shared_host(".".join([*under, host])) is not None


@quick
@given(st.sampled_from(ALONE), st.sampled_from(["acme", "corner-cafe", "a1"]))
def test_the_hosts_under_one_that_stands_alone_are_a_company_s(host: str, company: str) -> None:
    assert shared_host(host) is not None
    assert shared_host(f"{company}.{host}") is None


@quick
@given(
    st.sampled_from(WORLDWIDE), st.sampled_from(["com", "de", "co.uk", "com.br", "co.jp", "com.au"])
)
def test_a_service_with_a_domain_in_each_country_is_shared_in_all_of_them(
    service: str, ending: str
) -> None:
    found = shared_host(f"{service}.{ending}")
    assert found is not None
    assert shared_host(f"www2.{service}.{ending}") == found


@quick
@given(hosts)
def test_any_host_has_an_answer_and_allowing_it_lets_it_pass(host: str) -> None:
    found = shared_host(host)
    fault = shared_fault("domain", host, frozenset())
    assert (fault is None) == (found is None)
    assert shared_fault("domain", host, {host}) is None


def test_a_shared_host_is_refused_with_the_way_out() -> None:
    with pytest.raises(RecordError) as refused:
        company_domain(frozenset())("domain", "https://www.facebook.com/corner.cafe")
    rejection = refused.value.rejection
    assert rejection.reason is Reason.SHARED_DOMAIN
    assert "facebook.com, which many companies share" in rejection.detail
    assert "'allow_domains'" in rejection.detail
    assert "corner" not in rejection.detail


def test_an_allowed_host_is_a_company_s_own_and_those_under_it_are_not() -> None:
    normalise = company_domain(allowed_hosts(["https://www.Facebook.com/"]))
    assert normalise("domain", "facebook.com") == "facebook.com"
    with pytest.raises(RecordError):
        normalise("domain", "pages.facebook.com")


def test_a_value_that_names_no_host_stays_malformed() -> None:
    with pytest.raises(RecordError) as refused:
        company_domain(frozenset())("domain", "unknown")
    assert refused.value.rejection.reason is Reason.MALFORMED_DOMAIN
    assert company_domain(frozenset())("domain", "n/a") is None


@pytest.mark.parametrize("entry", ["", "facebook", "ada@facebook.com", "amazon.*"])
def test_an_entry_that_is_no_host_is_named_by_its_place(entry: str) -> None:
    with pytest.raises(ValueError, match=r"^entry 2 of 'allow_domains' is not a host"):
        allowed_hosts(["facebook.com", entry])


def test_the_list_is_long_and_names_each_host_once_as_it_is_compared() -> None:
    assert len(ENTRIES) > 400
    assert len(set(ENTRIES)) == len(ENTRIES)
    assert [name for name in PLAIN if bare_host(name) != name] == []


def test_no_line_of_the_list_is_covered_by_another_of_the_same_heading() -> None:
    headings: list[list[str]] = []
    for line in LINES:
        if line.startswith("["):
            headings.append([])
        else:
            headings[-1].append(line)
    for lines in headings:
        assert lines == sorted(lines)
        whole = {line for line in lines if " " not in line}
        assert [
            line for line in lines if any(line.split()[0].endswith(f".{other}") for other in whole)
        ] == []
