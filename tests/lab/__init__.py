"""Real Docker engines for tests: nothing of Docker is imitated anywhere in this project."""
