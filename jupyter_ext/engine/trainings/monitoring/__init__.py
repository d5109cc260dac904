"""Watch a running training: its directory, its resources, its sealing."""
