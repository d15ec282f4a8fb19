"""Which domains a company can own, by the public suffix list. Pure; nothing is fetched."""

from __future__ import annotations

import re
from pathlib import Path

from publicsuffixlist import PSLFILE, PublicSuffixList

from target_apollo.model.values import bare_host

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_LONGEST_HOST = 253
_MOST_PARENTS = 4096

# A name under a top-level domain that does not exist is a typo, so unknown ones do not count.
_suffixes = PublicSuffixList(accept_unknown=False)
_listed = frozenset(
    line.split()[0].lstrip("!*.")
    for line in Path(PSLFILE).read_text("utf-8").splitlines()
    if line.strip() and not line.startswith("//")
)
#: Suffixes under which every name that is not listed itself can be registered: ``com``, ``co.uk``.
_plain_parents: set[str] = set()


def registrable(written: str) -> str | None:
    """The domain that was registered for a host or URL; None if there is no host, or it is none.

    >>> registrable("https://shop.acme.co.uk/about"), registrable("co.uk"), registrable("acme.con")
    ('acme.co.uk', None, None)

    Both sections of the list count: ``acme.github.io`` can be registered, ``github.io`` can't.
    """
    # Nearly all leads have a bare name under one of a few suffixes. The list's algorithm need not
    # run for those: it gives the name itself, if it did so for another name beside it.
    label, _, parent = written.partition(".")
    if (
        parent in _plain_parents
        and _LABEL.fullmatch(label)
        and written not in _listed
        and label != "www"
        and not label.startswith("xn--")
        and len(written) <= _LONGEST_HOST
    ):
        return written
    host = bare_host(written)
    if host is None:
        return None
    found: str | None = _suffixes.privatesuffix(host)
    if found == host == written:
        _remember(parent)
    return found


def _remember(parent: str) -> None:
    """Take note of a suffix, unless it has rules for names that are not listed."""
    stranger = f"xn0strangerxn0.{parent}"
    if len(_plain_parents) < _MOST_PARENTS and _suffixes.privatesuffix(stranger) == stranger:
        _plain_parents.add(parent)
