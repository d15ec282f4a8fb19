"""Contact, account, row, value, policy, outcome: what a sync works with. Pure, without requests."""
