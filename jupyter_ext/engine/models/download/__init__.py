"""Download files of a model: ranges, resume, checksums, progress."""
