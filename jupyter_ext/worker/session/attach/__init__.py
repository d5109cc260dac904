"""A debugger's way into a session: private by default, a port only where one is asked for."""
