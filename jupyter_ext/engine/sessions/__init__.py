"""Debug sessions: launch, follow, end and archive."""
