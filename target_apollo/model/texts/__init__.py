"""Text as people write it: e-mails, domains, numbers, lists, and names that are compared."""
