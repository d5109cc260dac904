"""Replicate's HTTP API over this engine: one module per resource, the same requests and answers as the platform.

Source: docs/architecture/06-replicate.md.
"""
