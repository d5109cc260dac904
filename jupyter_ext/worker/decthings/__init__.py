"""Run models that were written for Decthings."""
