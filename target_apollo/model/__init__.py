"""The words of the domain: contact, account, row, value, policy, outcome. Pure."""
