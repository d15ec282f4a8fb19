"""Runs the target: ``target-apollo``, or ``python -m target_apollo``."""

import gc


def main() -> None:
    """Entry point of ``target-apollo``."""
    # What is loaded now stays to the end: looking for garbage among it takes a tenth of the start.
    # The run turns it on again.
    gc.disable()
    from target_apollo.target.target import main as run

    run()


if __name__ == "__main__":
    main()
