"""Sweeps: many trainings of one function with inputs that Optuna chooses."""
