"""Networks, the training loop, and what it records and repeats."""
