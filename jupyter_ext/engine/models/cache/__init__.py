"""Models on disk, in Hugging Face's cache layout."""
