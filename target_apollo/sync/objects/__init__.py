"""Objects that Apollo does not recognise: deals, tasks and the members of lists."""
