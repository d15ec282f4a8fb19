"""Existing records: what differs from their rows, and the requests that write it."""
