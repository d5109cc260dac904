"""Processes that do the work: warm interpreters, runs and how they ended."""
