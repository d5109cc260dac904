"""The client: one asynchronous core, and a synchronous door to it through one loop thread."""
