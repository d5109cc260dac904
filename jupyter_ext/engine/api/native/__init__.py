"""The engine's own API, which notebooks and pages use."""
