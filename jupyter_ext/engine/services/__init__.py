"""Backends that run elsewhere, on services."""
