"""Decthings' tensors, calls and datasets, as both ends of a connection read and write them. Standard library only."""
