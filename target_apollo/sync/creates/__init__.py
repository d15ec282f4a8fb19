"""New records: requests of 100 rows, and which answered record belongs to which row."""
