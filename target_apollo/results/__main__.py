"""``python -m target_apollo.results`` is ``tap-apollo-sync``."""

import sys

from target_apollo.results.command import main

sys.exit(main())
