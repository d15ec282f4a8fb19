"""The registrable domain is that of the public suffix list."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from publicsuffixlist import PublicSuffixList

from target_apollo.mapper.values import registrable
from target_apollo.model.values import bare_host

suffixes = st.sampled_from(
    [
        *("com", "co.uk", "uk", "de", "jp", "kawasaki.jp", "city.kawasaki.jp", "ck", "www.ck"),
        *("github.io", "io", "cn", "xn--55qw42g.cn", "con", "kobe.jp", "compute.amazonaws.com"),
    ]
)
labels = st.sampled_from(
    ["www", "acme", "co", "city", "xn--55qw42g", "github", "a-b", "-", "", "x" * 63, "x" * 64, "A"]
) | st.from_regex(r"[a-z0-9-]{1,8}", fullmatch=True)
hosts = st.builds(
    lambda labels, suffix: ".".join([*labels, suffix]), st.lists(labels, max_size=3), suffixes
)
library = PublicSuffixList(accept_unknown=False)


@given(st.lists(hosts, min_size=1, max_size=10))
def test_the_answer_does_not_depend_on_the_hosts_asked_before(asked: list[str]) -> None:
    for host in asked:
        bare = bare_host(host)
        assert registrable(host) == (library.privatesuffix(bare) if bare else None)
