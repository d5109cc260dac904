"""What a running training writes: its journals, read as columns of points and as marks."""
