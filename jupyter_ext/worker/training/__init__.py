"""The worker of a training."""
