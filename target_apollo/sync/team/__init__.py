"""What rows name of Apollo's team: users, stages, accounts, fields; and its protected stages."""
