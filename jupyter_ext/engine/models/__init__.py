"""Local models: what is known of them, how they come here, and the processes that have them loaded."""
