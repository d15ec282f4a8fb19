"""tap-apollo-sync: a Singer tap for the ledger and for Apollo's users, stages, custom fields."""
