"""Rows that are deleted at the source, and rows that come back."""
