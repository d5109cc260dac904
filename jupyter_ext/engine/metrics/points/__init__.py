"""The points of one metric, wherever they are, and the overview of any range of them. Nothing here reads a file."""
