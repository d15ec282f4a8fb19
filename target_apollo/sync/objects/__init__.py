"""Deals, tasks and the members of lists: a row of theirs is known by its key alone."""
