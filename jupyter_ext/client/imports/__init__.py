"""Runs that other tools have recorded: read from their files, kept as trainings here, and written back for TensorBoard."""
