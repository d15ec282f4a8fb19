"""The tables of Apollo's objects: their columns, how each is read, and what each may be."""
