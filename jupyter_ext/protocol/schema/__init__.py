"""Signatures of `train` functions as schemas, and inputs checked against them."""
