"""Webhooks and signed links."""
