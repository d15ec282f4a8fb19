"""``python -m target_apollo.sandbox``."""

from __future__ import annotations

import sys

from target_apollo.sandbox.command import main

sys.exit(main())
