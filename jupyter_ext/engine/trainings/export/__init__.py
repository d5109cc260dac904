"""A training's metrics as a file to take along: every point that was logged, written while it is sent."""
