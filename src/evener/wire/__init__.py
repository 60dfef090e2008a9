"""How processes of a run speak to each other: authenticated lines of JSON, nothing pickled."""
