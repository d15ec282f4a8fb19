"""`apollo-sync login`: consent in a browser, tokens in the token file."""
