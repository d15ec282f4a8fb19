"""``python -m target_apollo.tap`` is ``tap-apollo-sync``."""

import sys

from target_apollo.cli.results import main

sys.exit(main())
