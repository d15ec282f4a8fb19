"""`apollo-sync probe`: asks a team's Apollo what its documents leave open."""
