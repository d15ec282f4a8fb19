"""Runs the target: ``python -m target_apollo``."""

from target_apollo.target import main

main()
