"""Metrics, logs and marks of a run: read its journal, keep a pyramid, seal the past."""
