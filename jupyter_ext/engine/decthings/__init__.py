"""Decthings' own resources: models, their runs, launchers."""
