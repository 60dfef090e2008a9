"""The head: one small server per run that takes in events and keeps the record.

Training does not need it to go on: while it is away, agents spool what they have to say.
"""
