"""What the Makefile calls; none of it is needed to use the package `analysis`."""
