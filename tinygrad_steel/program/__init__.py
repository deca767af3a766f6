"""A traced loss: one form for every reader."""
