"""``python -m target_apollo.sandbox``: the same as ``apollo-sync sandbox``."""

from __future__ import annotations

from target_apollo.sandbox.command import command

command(prog_name="python -m target_apollo.sandbox")
