"""`apollo-sync probe`: how a team's Apollo behaves where its docs are silent."""
