"""``python -m target_apollo.leads`` is ``map-apollo-leads``."""

from __future__ import annotations

from target_apollo.leads.mapper import main

if __name__ == "__main__":
    main()
