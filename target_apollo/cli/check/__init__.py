"""`apollo-sync check`: can a sync with these settings work? Found out without writing."""
