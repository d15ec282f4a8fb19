"""map-apollo-leads: a Singer mapper that passes only qualified leads and explains its verdicts."""
