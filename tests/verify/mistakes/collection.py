"""All mistakes, and the models in which they are made."""

from __future__ import annotations

from verify.mistakes import activations, classifiers, layers, norms, regression, sequences

THEMES = (regression, classifiers, layers, activations, sequences, norms)
MISTAKES = [mistake for theme in THEMES for mistake in theme.MISTAKES]
MODELS = list(dict.fromkeys(mistake.model for mistake in MISTAKES))
