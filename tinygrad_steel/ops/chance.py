"""Chance: dropout and noise, drawn from a generator that the caller gives."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np

from .arithmetic import add, multiply
from .declare import unlisted
from .op import Op, describe, is_tensor
from .states import put_back, state

if TYPE_CHECKING:  # np.random takes half as long to load as all ops together: not before it is used
    Generator = np.random.Generator | np.random.RandomState


def dropout(x: Any, rate: float, rng: Generator | None = None, name: str = "mask") -> Any:
    """`x` with some elements set to 0, each by chance, and the others divided by 1 - rate.

    So the mean of each element is what it was (inverted dropout). The mask is drawn anew at each
    call, in the order of the calls, compiled or not: the same state of the generator gives the same
    masks. It is a value of the graph by itself (`y.inputs[1]` of the result `y`), and a constant to
    gradients.

    To evaluate without dropout, leave the call out: `h = dropout(h, 0.5, rng) if training else h`.

    Parameters
    ----------
    x : Tensor or array
        Of any shape; integers are taken as float64.
    rate : float
        The share of elements that are dropped, from 0 to below 1.
    rng : numpy.random.Generator or numpy.random.RandomState
        What draws; it has to be given.
    name : str
        What the mask is called in sources, reports and pictures.

    Returns
    -------
    Tensor or array
        Of the shape and float dtype of `x`.

    Raises
    ------
    TypeError
        Where `rng` is no generator, or the rate no number.
    ValueError
        For a rate outside of 0 <= rate < 1.

    References
    ----------
    Srivastava et al., Dropout: A Simple Way to Prevent Neural Networks from Overfitting, 2014,
    Journal of Machine Learning Research 15.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import dropout
    >>> dropout(np.ones(8), 0.5, np.random.default_rng(1))
    array([2., 2., 0., 2., 0., 0., 2., 0.])
    """
    check_generator("dropout", rng)
    check_rate(rate)
    x = x if hasattr(x, "dtype") else np.asarray(x)
    return multiply(x, drawn(dropout_mask, x, name, rate=float(rate), rng=rng))


def noise(x: Any, spread: float, rng: Generator | None = None, name: str = "noise") -> Any:
    """`x` plus normal noise with mean 0 and this standard deviation.

    It is drawn anew at each call, in the order of the calls, compiled or not: the same state of the
    generator gives the same noise. It is a value of the graph by itself, and a constant to
    gradients. To evaluate without noise, leave the call out.

    Parameters
    ----------
    x : Tensor or array
        Of any shape; integers are taken as float64.
    spread : float
        The standard deviation, 0 or more.
    rng : numpy.random.Generator or numpy.random.RandomState
        What draws; it has to be given.
    name : str
        What the noise is called in sources, reports and pictures.

    Returns
    -------
    Tensor or array
        Of the shape and float dtype of `x`.

    Raises
    ------
    TypeError
        Where `rng` is no generator, or the spread no number.
    ValueError
        For a spread that is negative or not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import noise
    >>> noise(np.array([1.0, 2.0]), 0.1, np.random.default_rng(1)).round(3)
    array([1.035, 2.082])
    """
    check_generator("noise", rng)
    check_spread(spread)
    x = x if hasattr(x, "dtype") else np.asarray(x)
    return add(x, drawn(normal_noise, x, name, spread=float(spread), rng=rng))


def drawn(op: Op, x: Any, name: str, **params: Any) -> Any:
    """What one of the ops below draws for `x`, under a name where it is recorded."""
    y = op(x, **params)
    if is_tensor(y) and y.op is not None:
        y.name = name
    return y


# What draws. The forwards keep the state before, from which the same can be drawn again.


def draw(name: str, forward: Callable[..., Any]) -> Op:
    """An op that draws from its parameter `rng`, and keeps the state in which it began."""
    new = unlisted(name, forward, constant=True, random=True, keeps=True)
    new.draws = True
    return new


def kept_or_dropped(x: Any, *, rate: float, rng: Generator) -> Any:
    """0 for each element that is dropped, 1 / (1 - rate) for the others."""
    before = start(rng)
    return in_floats(x, (rng.random(x.shape) >= rate) / (1 - rate)), before


def normal(x: Any, *, spread: float, rng: Generator) -> Any:
    """Normal numbers with mean 0 and this spread, one for each element."""
    before = start(rng)
    return in_floats(x, rng.normal(0, spread, x.shape)), before


def in_floats(x: Any, y: Any) -> Any:
    """`y`, drawn in float64, in the dtype of `x` where that is one of floats."""
    return np.asarray(y, x.dtype if x.dtype.kind == "f" else np.float64)


dropout_mask = draw("dropout_mask", kept_or_dropped)
normal_noise = draw("normal_noise", normal)


# What is refused


def check_generator(what: str, rng: Any) -> None:
    """TypeError for what is no generator with a state of its own."""
    if isinstance(rng, np.random.Generator | np.random.RandomState):
        return
    if rng is np.random:
        given = "the module np.random, which whoever draws anywhere shares"
    elif isinstance(rng, int):
        given = f"the number {rng}, with which each call would draw the same"
    else:
        given = "None" if rng is None else type(rng).__name__
    seed = rng if isinstance(rng, int) else "seed"
    raise TypeError(
        f"{what} draws from a generator, not from {given}: write "
        f"rng = np.random.default_rng({seed}) once, before the training, and hand it in"
    )


def check_rate(rate: Any) -> None:
    """Raise for what is no share of elements to be dropped."""
    check_number("dropout: rate", rate)
    if not 0 <= rate < 1:
        raise ValueError(
            f"dropout: rate is the share that is dropped, 0 <= rate < 1 (0.5 drops half), "
            f"not {rate}"
        )


def check_spread(spread: Any) -> None:
    """Raise for what is no standard deviation."""
    check_number("noise: spread", spread)
    if not 0 <= spread < np.inf:
        raise ValueError(f"noise: spread is a standard deviation, 0 or more, not {spread}")


def check_number(what: str, x: Any) -> None:
    """TypeError for what is no plain number."""
    if not isinstance(x, int | float | np.integer | np.floating):
        raise TypeError(f"{what} is a number, through which no gradient flows, not {describe(x)}")


# Draws again


class OneDraw:
    """Makes each call of a function draw what the first one drew.

    So each leaves the generators where the first one left them, too.
    """

    def __init__(self) -> None:
        self.begins: list[tuple[Generator, Any]] = []
        self.place: int | None = None  # of the next draw, None in the first call

    def same(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, which draws in each call what it drew in the first."""

        def call(*args: Any) -> Any:
            token = AGAIN.set(self)
            try:
                return function(*args)
            finally:
                AGAIN.reset(token)
                self.place = 0

        return call

    def begin(self, rng: Generator) -> None:
        """A draw begins: the first time its state is noted, then it is put back to that."""
        if self.place is None:
            self.begins.append((rng, state(rng)))
            return
        if self.place < len(self.begins) and self.begins[self.place][0] is rng:
            put_back(*self.begins[self.place])
        self.place += 1


AGAIN: ContextVar[OneDraw | None] = ContextVar("again", default=None)


def start(rng: Generator) -> Any:
    """The state in which a draw begins."""
    again = AGAIN.get()
    if again is not None:
        again.begin(rng)
    return state(rng)
