"""``python -m target_apollo.mapper`` is ``map-apollo-leads``."""

from __future__ import annotations

from target_apollo.mapper.mapper import main

if __name__ == "__main__":
    main()
