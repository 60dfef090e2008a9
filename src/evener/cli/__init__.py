"""The command line: a file per verb, and the views. Nothing here decides about a training."""
