"""Jupyter Server extension: lets an authenticated page reach the engine of the server's user.

Rule of this package: no domain logic. It knows where the engine's socket is and passes bytes through.
"""
