"""The pages of runs and what they are told: one application, for a run's head and for a folder.

It shows what its sources tell and decides nothing. Nothing of it is seen without the page's key.
"""
