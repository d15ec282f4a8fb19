"""Sync contacts and accounts of a warehouse into Apollo.io."""
