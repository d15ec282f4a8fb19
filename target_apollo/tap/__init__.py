"""tap-apollo-sync: a Singer tap over the ledger, and over what names stand for in Apollo."""
