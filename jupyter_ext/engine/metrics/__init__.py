"""Metrics, logs, marks and media of a run: read what it writes, keep a pyramid, serve it live, seal the past.

Live points are in `journal` (what the training writes) and `serving` (what viewers get); those that no longer change are in
`sealed`. `points` is what both know of a series. Imports go down: serving, sealed, points, journal.
"""
