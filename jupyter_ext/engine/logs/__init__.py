"""The whole log of a run: its lines by number, by byte and by time, and what is searched for in it."""
