"""Model hosts: start, evict, unload."""
