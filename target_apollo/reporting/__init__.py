"""Reports on past runs and plans: text for a terminal, and one HTML page."""
