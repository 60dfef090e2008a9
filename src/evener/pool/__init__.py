"""Machines that join by hand, through one port of one of them, and wait for runs."""
