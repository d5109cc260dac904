"""Trainings as a notebook sees them."""
