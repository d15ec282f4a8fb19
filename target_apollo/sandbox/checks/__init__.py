"""Which requests the sandbox refuses, as Apollo's documents say."""
