"""What the sandbox keeps of a team: records, fields, lists and sequences, and how they are matched."""
