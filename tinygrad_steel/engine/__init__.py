"""Tensor, the walk back, NumPy's functions on Tensors, optimizers."""
