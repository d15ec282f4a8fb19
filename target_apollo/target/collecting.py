"""How often Python looks for garbage that refers to itself."""

from __future__ import annotations

import gc

#: New objects after which the youngest are looked through. A flush holds some ten thousand, and
#: each request leaves a few behind that only the collector frees.
_NEW_OBJECTS = 100_000


def collect_rarely() -> None:
    """Lets the collector of a whole process look seldom, and never at what is loaded already.

    Records, rows and answers hold no references in circles: they go as soon as a flush is through
    with them. By default the collector walks over what a flush holds every few records, which took
    a tenth of a run's time.
    """
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, 10, 10)
    gc.enable()
