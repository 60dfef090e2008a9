"""A run as one page to keep: HTML with nothing to load and nothing to run, charts drawn as SVG.

Pure: `page` makes the same text of the same material, wherever and whenever. What it shows was
written by others (names, logs of a model, jobs), so every string is escaped where it enters.
"""

from evener.report.material import Material, Points, Told
from evener.report.page import page

__all__ = ["Material", "Points", "Told", "page"]
