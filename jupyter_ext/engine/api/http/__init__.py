"""What all HTTP APIs of the engine share."""
