"""Trainings: their states, their versions and the service that alone changes them."""
