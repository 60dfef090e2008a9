"""The job file: its schema, and reading it from TOML, JSON, a recipe and overrides."""
