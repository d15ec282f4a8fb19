"""Reads all records of an object back from Apollo, for the tap and for `apollo-sync adopt`."""
