"""What is kept of points that no longer change: sealed into Parquet, merged, summed up and read back."""
