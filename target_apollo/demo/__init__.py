"""The demo: a real PostgreSQL with a dirty CRM, read by Meltano and written into the sandbox."""
