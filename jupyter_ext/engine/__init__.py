"""The engine: one process per user and host that owns every training. No torch and no user code in here."""
