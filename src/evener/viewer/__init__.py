"""The pages of a folder of runs: those that go on, those that are over, those that were copied."""
