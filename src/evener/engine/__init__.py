"""Training itself: read `loop` first. Sums, not means; one step the same on any set of ranks."""
