"""The backprop of a loss, written as NumPy source."""
