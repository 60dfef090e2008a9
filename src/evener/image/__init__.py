"""The image that ranks run in: its recipe as text, its identity by content, and its building.

Two layers, each an image of its own: the libraries, which change when versions do, and on them
evener with the user's code, which is rebuilt in seconds.
"""
