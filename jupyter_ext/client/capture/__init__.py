"""Capture code of the notebook, and the names it uses, so that it runs elsewhere."""
