"""Gradients checked: by differences, and against a chain written by hand."""
