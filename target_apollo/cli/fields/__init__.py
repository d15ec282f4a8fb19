"""`apollo-sync fields`: the fields that can be mapped, and custom fields that are missing."""
