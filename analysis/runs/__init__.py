"""What a run is: configuration, selection, loss weights, and its record."""
