"""target-apollo: the Singer target, from the lines of its input to STATE and exit code."""

from target_apollo.target.target import TargetApollo

__all__ = ["TargetApollo"]
