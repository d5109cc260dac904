"""HTTP and WebSocket routes: they translate requests into calls of a service, and nothing else."""
