"""What rows name of Apollo's team: users, stages, accounts, and which run may write to it."""
