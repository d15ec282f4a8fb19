"""Reads records back from Apollo: some by their ids, or all of an object."""
