"""The worker that holds a loaded model and answers calls to it."""
