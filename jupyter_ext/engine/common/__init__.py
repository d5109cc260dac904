"""Small things that every room of the engine uses."""
