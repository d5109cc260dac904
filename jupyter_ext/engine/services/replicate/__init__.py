"""Trainings on Replicate, or a service like it."""
