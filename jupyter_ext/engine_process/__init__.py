"""Find the engine of this user and machine, or start it."""
