"""Decthings' wire: integers, bodies and frames, tensors, parameter definitions. No I/O."""
