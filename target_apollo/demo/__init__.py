"""The demo: Meltano reads a CRM with dirty rows from PostgreSQL and writes it into the sandbox."""
