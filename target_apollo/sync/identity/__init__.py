"""Decides which Apollo record a row has, before any existing record is written."""
