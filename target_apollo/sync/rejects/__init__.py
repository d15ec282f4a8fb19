"""Rows that Apollo or the target refused: their file, their counts, their causes."""
