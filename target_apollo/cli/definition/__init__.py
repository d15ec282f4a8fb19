"""The command `apollo-sync definition`, and the plugins' definitions that it prints."""
