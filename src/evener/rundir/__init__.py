"""A run on disk: where its files lie, its record in SQLite, and what is recovered into it."""
