"""Uploaded files and named models on disk."""
