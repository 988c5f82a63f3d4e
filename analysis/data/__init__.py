"""Molecules: sources, splits, neighbour lists, offsets, descriptors, statistics."""
