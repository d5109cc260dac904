"""Trainings on a Ray cluster that the user has."""
