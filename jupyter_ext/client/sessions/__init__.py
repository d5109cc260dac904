"""Debug sessions as a notebook sees them."""
