"""Runs the target: ``target-apollo``, or ``python -m target_apollo``."""

from target_apollo.entry import target

if __name__ == "__main__":
    target()
