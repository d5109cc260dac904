"""What goes into and comes out of a training: input files, versions, weights."""
