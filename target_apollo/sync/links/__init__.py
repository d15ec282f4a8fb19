"""What the ledger knows of a stream's rows: the record that each became, and its last values."""
