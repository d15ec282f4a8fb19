"""`apollo-sync fields`: what can be mapped, and the custom fields that are missing for it."""
