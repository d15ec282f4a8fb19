"""Which parameters of a test belong to `make test`, and which only to `make chaos`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest


def sampled(values: Iterable[Any] | Mapping[str, Any], few: int = 1) -> list[Any]:
    """Parameters of a test, of which all but the first few are left to `make test-all`.

    Args:
        values: The values, or a name -> value for a test whose names are to be seen; tuples for
            several parameters.
    """
    named = values.items() if isinstance(values, Mapping) else ((None, one) for one in values)
    return [
        pytest.param(
            *(value if isinstance(value, tuple) else (value,)),
            id=name,
            marks=[pytest.mark.full] if number >= few else [],
        )
        for number, (name, value) in enumerate(named)
    ]


def mostly_chaos(values: Iterable[Any], few: int = 1) -> list[Any]:
    """Parameters of which all but the first few are left to `make chaos`.

    For seeds and other parameters of which one finds what another does.
    """
    return [
        pytest.param(value, marks=[pytest.mark.full, pytest.mark.chaos] if number >= few else [])
        for number, value in enumerate(values)
    ]
