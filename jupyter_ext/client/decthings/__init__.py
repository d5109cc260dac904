"""Debug sessions on Decthings' service."""
