"""What the engine keeps: runs' metrics and logs, and the catalog of trainings."""
