"""Samples: their order, where they come from, and how they reach a rank in time."""
