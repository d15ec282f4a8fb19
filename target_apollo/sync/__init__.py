"""The sync engine: takes batches of rows, writes them to Apollo, gives each row one outcome."""
