"""The worker of a debug session: an IPython kernel that holds the user's model."""
