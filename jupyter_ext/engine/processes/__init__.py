"""Processes under a shim: interpreters, control, outcomes."""
