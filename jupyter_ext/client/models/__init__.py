"""Local models as a notebook sees them."""
