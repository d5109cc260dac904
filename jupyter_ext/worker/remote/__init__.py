"""A training on another machine: the usual shim and worker, whose files are sent to the engine as they grow."""
