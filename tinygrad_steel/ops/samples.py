"""Samples: the inputs on which an op is proven, made when they are first asked for."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

Arrays = tuple[Any, ...]


class Sample:
    """One set of inputs on which an op is proven; `make` gives the `count` arrays.

    They are read-only, so that no check can spoil the next, and made when first asked for, so that
    to import the library draws no random numbers.
    """

    def __init__(self, make: Callable[[], Arrays], count: int, params: dict[str, Any]):
        self.make, self.count, self.params = make, count, params

    @functools.cached_property
    def inputs(self) -> Arrays:
        """The arrays, made once."""
        return self.make()

    def __repr__(self) -> str:
        inputs = ", ".join(f"{x.shape} {x.dtype}" for x in self.inputs)
        return f"Sample({inputs}, params={self.params})"


def random_sample(*shapes: tuple[int, ...], positive: bool = False, **params: Any) -> Sample:
    """A sample of random float64 arrays, 0.3 to 1.7 away from zero, so that no kink at 0 is near.

    Parameters
    ----------
    *shapes : tuple of int
        One shape for each input.
    positive : bool
        Whether the numbers are above zero (for log, sqrt and the like).
    **params : object
        The op's parameters, such as `axis=0`.

    Returns
    -------
    Sample
        Its `inputs` are drawn when they are first asked for, and are always the same.

    Raises
    ------
    TypeError, ValueError
        For what is no shape, as NumPy has it.

    Examples
    --------
    >>> from tinygrad_steel import random_sample
    >>> random_sample((2, 3), (3,), axis=0)
    Sample((2, 3) float64, (3,) float64, params={'axis': 0})
    """
    sample = Sample(functools.partial(draw, shapes, positive), len(shapes), params)
    if not all(is_shape(shape) for shape in shapes):
        sample.inputs = draw(shapes, positive)  # NumPy's error for it comes here and not in a check
    return sample


def sample_of(*inputs: Any, **params: Any) -> Sample:
    """A sample of just these inputs.

    Parameters
    ----------
    *inputs : array_like
        The inputs, which are copied.
    **params : object
        The op's parameters, such as `axis=0`.

    Returns
    -------
    Sample
        The inputs as read-only arrays, with the parameters.

    Raises
    ------
    ValueError
        For lists of unequal length, of which NumPy makes no array.

    Examples
    --------
    >>> from tinygrad_steel import sample_of
    >>> sample_of([1.0, 0.0], 3)
    Sample((2,) float64, () int64, params={})
    """
    copies = read_only(inputs)
    return Sample(functools.partial(tuple, copies), len(copies), params)


# Their names until version 0.2, which people's own variables are called, too.
arrays, values = random_sample, sample_of


def is_shape(shape: Any) -> bool:
    """Whether it is a tuple of lengths, of which an array can surely be made."""
    return isinstance(shape, tuple) and all(isinstance(n, int) and n >= 0 for n in shape)


def draw(shapes: Iterable[tuple[int, ...]], positive: bool) -> Arrays:
    """Random arrays of these shapes, from the same generator each time."""
    rng = np.random.default_rng(1)
    drawn = []
    for shape in shapes:
        x = rng.uniform(0.3, 1.7, shape)
        drawn.append(x if positive else x * rng.choice([-1, 1], shape))
    return read_only(drawn)


def read_only(inputs: Iterable[Any]) -> Arrays:
    """Copies as arrays that cannot be changed."""
    copies = tuple(np.array(x) for x in inputs)
    for x in copies:
        x.flags.writeable = False
    return copies
