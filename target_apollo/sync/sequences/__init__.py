"""Enrols contacts into Apollo's sequences, and takes out those whose rows are gone."""
