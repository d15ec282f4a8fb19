"""What each endpoint does: a function of a `Call` that returns the answer or raises Refusal."""
