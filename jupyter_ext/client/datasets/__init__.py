"""Datasets as a notebook sees them."""
