"""Requests to the engine: transport, and one module per kind of resource."""
