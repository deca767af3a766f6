"""Mistakes in convolution, pooling, norms, dropout, recurrence, gates, attention and decoders: those
that a book for learners goes through, and those planted in each of these layers.
"""

from __future__ import annotations

from verify.mistakes import blocks, decoders, gates, windows

THEMES = (windows, blocks, gates, decoders)
MISTAKES = [mistake for theme in THEMES for mistake in theme.MISTAKES]
MODELS = list(dict.fromkeys(mistake.model for mistake in MISTAKES))

# Of which the leaves alone tell too little, or the search too late: no reason is given for these.
NOT_YET = (
    "flatten: the axes are in another order",
    "dropout: the mask is drawn again",
    "the cell is handed on without the forget gate",
    "the input gate for the forget gate on the way of the cell",
    "the cell after the step in the forget gate's gradient",
    "gates are swapped: f for i",
    "the state's gradient is added twice",
    "the state's gradient is added twice in time",
    "the output gate gets the cell, and not its tanh",
    "encoder and decoder: the outputs are taken in the wrong order",
    "GAN: the labels of real and forged are swapped",
)
