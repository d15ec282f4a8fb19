"""The settings: their schema, their typed form, where they come from."""
