"""What the sandbox keeps of a team: records, fields, lists, sequences, and how they are matched."""
