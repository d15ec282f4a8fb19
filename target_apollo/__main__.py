"""Runs the target: ``target-apollo``, or ``python -m target_apollo``."""

from target_apollo.target.target import main

if __name__ == "__main__":
    main()
