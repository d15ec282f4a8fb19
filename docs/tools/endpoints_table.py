"""The endpoints that are used, with the access that each needs, as a table."""

from __future__ import annotations

from docs.tools.markdown import table
from target_apollo.apollo.endpoints import ENDPOINTS


def endpoints_table() -> str:
    """All endpoints, with the entry in a key's list, the OAuth scope, and whether they write."""
    return table(
        ("endpoint", "what it does", "entry of the key", "OAuth scope"),
        (
            (
                f"`{label}`",
                "reads" if endpoint.reads else "writes",
                f"`{endpoint.key_entry}`" if endpoint.key_entry else "none",
                f"`{endpoint.scope}`" if endpoint.scope else "none",
            )
            for label, endpoint in ENDPOINTS.items()
        ),
    )
