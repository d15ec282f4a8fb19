"""The settings: their schema, their sources, their typed form, and the credentials in them."""
