"""What the records say: decomposition, intervals, verdicts, error sources."""
