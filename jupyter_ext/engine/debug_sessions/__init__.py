"""Debug sessions and the datasets that are their parameters."""
