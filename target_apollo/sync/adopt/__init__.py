"""Links rows to the records that Apollo has already, before their first run, and writes no record.

A team that comes from another tool begins with an empty ledger. `apollo-sync adopt` fills it: it
reads all records of Apollo, a hundred a request, and matches the rows to them.
"""
