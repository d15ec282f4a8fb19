"""``python -m target_apollo.tap`` is ``tap-apollo-sync``."""

import sys

from target_apollo.tap.command import main

sys.exit(main())
