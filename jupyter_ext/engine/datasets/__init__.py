"""Datasets on disk, append-only and versioned."""
