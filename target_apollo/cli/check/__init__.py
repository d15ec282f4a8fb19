"""`apollo-sync check`: finds out, without writing, whether a sync with these settings can work."""
