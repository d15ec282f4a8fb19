"""The engine: a batch of rows in, one outcome a row out."""
