"""Rows that are gone from the source, and rows that come back."""
