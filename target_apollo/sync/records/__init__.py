"""Contacts and accounts: a batch of rows from what is known of them to their requests."""
