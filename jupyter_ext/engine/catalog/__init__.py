"""The SQLite index of all runs."""
