"""Optimizers: what to do with the gradients once `backward()` has left them in `.grad`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Never

import numpy as np

from ..ops.op import describe
from .habits import refuse
from .tensor import Tensor


def working(dtype: np.dtype) -> np.dtype:
    """The dtype of a step: float32 for float16, which is too narrow for squares of gradients."""
    return np.dtype(np.float32) if dtype.itemsize < 4 else dtype


def start(p: Tensor) -> Any:
    """What is remembered before the first step."""
    return np.zeros_like(p.data, dtype=working(p.dtype))


def checked_parameters(parameters: Iterable[Tensor]) -> tuple[Tensor, ...]:
    """The parameters; TypeError and ValueError for what an optimizer cannot train."""
    if isinstance(parameters, Tensor | dict):
        raise TypeError(
            "give an optimizer a list of Tensors: [weight, bias], or parameters.values() of a dict"
        )
    found = tuple(parameters)
    if not found or len({*map(id, found)}) < len(found):
        raise ValueError("an optimizer needs at least one parameter, and each only once")
    for p in found:
        if not isinstance(p, Tensor) or not p.requires_grad or p.op is not None:
            raise ValueError(
                f"{describe(p)} cannot be trained: make it with Tensor(..., requires_grad=True)"
            )
    return found


def check_state(kind: str, found: Mapping[str, np.ndarray], own: Mapping[str, Any]) -> None:
    """ValueError where a state is none of an optimizer whose own one has these arrays."""
    if found.keys() != own.keys():
        missing = [f"lacks {name!r}" for name in own if name not in found]
        surplus = [f"has {name!r}" for name in found if name not in own]
        raise ValueError(
            f"this is not the state of such an optimizer: it {(missing + surplus)[0]}, and {kind} "
            f"for these parameters remembers {', '.join(own)}"
        )
    for name, x in own.items():
        given, wanted = (f"{a.shape} {a.dtype}" for a in (found[name], np.asarray(x)))
        if given != wanted:
            raise ValueError(f"the state has {name!r} as {given}, and {kind} needs {wanted}")
    if found["steps"] < 0:
        raise ValueError(f"the state has {found['steps']} steps: there are 0 or more")


class Optimizer:
    """What all optimizers share: parameters, steps, and a state to go on from.

    A class of your own defines two methods: `rule`, by what a parameter is lowered, and `numbers`,
    what the rule needs of this step. What `rule` keeps from step to step it returns as a list;
    `remembered`, a tuple of str, names its parts.

    Parameters
    ----------
    parameters : iterable of Tensors
        Leaves that require a gradient, each once.
    learning_rate : float
        The size of a step, above 0.

    Attributes
    ----------
    parameters : tuple of Tensor
        What is trained.
    learning_rate : float
        As it is now; it may be changed from step to step.
    steps : int
        How many steps there were.

    Raises
    ------
    TypeError
        For a single Tensor or a dict of them, and for a learning rate that is text.
    ValueError
        For parameters that cannot be trained, and for a learning rate that is not above 0.
    NotImplementedError
        In `step()`, where a class defines no `rule` or no `numbers`.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import Optimizer, Tensor
    >>> class Sign(Optimizer):
    ...     def numbers(self, dtype):
    ...         return (np.array(self.learning_rate, dtype),)
    ...
    ...     def rule(self, g, state, rate):
    ...         return rate * np.sign(g), []
    >>> p = Tensor([1.0, -2.0], requires_grad=True)
    >>> p.square().sum().backward()
    >>> Sign([p], learning_rate=0.25).step()
    >>> p.data
    array([ 0.75, -1.75])
    """

    remembered: tuple[str, ...] = ()

    def __init__(self, parameters: Iterable[Tensor], learning_rate: float, **unknown: Never):
        if unknown:
            refuse(type(self).__name__, unknown)
        # A tuple: nobody exchanges a parameter behind a compiled step's back.
        self.parameters = checked_parameters(parameters)
        self.learning_rate = learning_rate
        self.steps = 0
        # What is remembered of the steps before.
        self.states: list[list[Any]] = [[] for _ in self.parameters]

    @property
    def learning_rate(self) -> float:
        """The size of a step; it may be changed from step to step, to anything above 0."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        if isinstance(value, str):
            raise TypeError(f"the learning rate is a number, not {value!r}: write float({value!r})")
        if not value > 0:
            raise ValueError(f"the learning rate must be above 0, not {value}")
        self._learning_rate = value
        # 0-d arrays: NumPy multiplies by them in half the time it takes for a Python number.
        self.rates = [np.array(value, working(p.dtype)) for p in self.parameters]

    def zero_grad(self) -> None:
        """Set `.grad` of each parameter to None, so that the next `backward()` does not add to it."""
        for p in self.parameters:
            p._grad = None

    def _check(self) -> None:
        """RuntimeError where a gradient is missing: a parameter would stay untrained in silence."""
        for p in self.parameters:
            if p._grad is None:
                raise RuntimeError(
                    f"{describe(p)} has no gradient: "
                    "call backward() first, on a loss which it is part of"
                )

    def numbers(self, dtype: np.dtype) -> tuple[np.ndarray, ...]:
        """What the rule needs of this step, for parameters of one dtype.

        Parameters
        ----------
        dtype : dtype
            That of a parameter.

        Returns
        -------
        tuple of ndarray
            0-d arrays, which `rule` gets as its last arguments.

        Raises
        ------
        NotImplementedError
            Where a class does not define it.
        """
        raise self._missing("numbers(dtype)")

    def rule(self, g: Any, state: Sequence[Any], *numbers: Any) -> tuple[Any, list[Any]]:
        """By what a parameter is lowered, in NumPy terms.

        It depends on its arguments and settings alone, so that compiled steps can trace it: what differs
        from step to step comes from `numbers`.

        Parameters
        ----------
        g : array of the parameter's shape
            Its gradient.
        state : sequence of arrays
            What the rule has kept of this parameter; empty at first, unless `__init__` sets `states`.
        *numbers : 0-d arrays
            What `numbers` gives for this step.

        Returns
        -------
        change : array of the parameter's shape
            By what it is lowered.
        state : list of arrays
            What to keep of it.

        Raises
        ------
        NotImplementedError
            Where a class does not define it.
        """
        raise self._missing("rule(g, state, *numbers)")

    def _missing(self, method: str) -> NotImplementedError:
        """The error for a class that lacks a method."""
        return NotImplementedError(
            f"{type(self).__name__} has no {method}: an optimizer defines rule and numbers"
        )

    def step(self) -> None:
        """Move every parameter against its gradient.

        Raises
        ------
        RuntimeError
            Where a parameter has no gradient: it would stay untrained in silence.
        """
        self._check()
        self.steps += 1
        for i, p in enumerate(self.parameters):
            g = p._grad
            if isinstance(p.data, np.ndarray):
                # A lazy gradient is computed now, else each step would hold all before it.
                g = np.asarray(g, working(p.dtype))
            change, self.states[i] = self.rule(g, self.states[i], *self.numbers(p.dtype))
            p._move(change)

    def state(self) -> dict[str, np.ndarray]:
        """What the optimizer remembers of its steps, by name, as copies: enough to go on exactly.

        Beside the numbers of the parameters themselves, that is all that training needs to continue
        bit for bit, also where compiled steps or epochs have done the steps. Settings, such as the
        learning rate, are not part of it: they are given where the optimizer is made.

        Returns
        -------
        dict of str to ndarray
            `steps`, how many there were (int64), and what is kept of each parameter with the number
            of that parameter: `velocity 0` (SGD with momentum), `mean 0` and `square 0` (Adam).
            For a class of your own the names are those in `remembered`, or `state0 0`, `state1 0`.

        Examples
        --------
        >>> import numpy as np
        >>> from tinygrad_steel import SGD, Tensor
        >>> p = Tensor([1.0, 2.0], requires_grad=True)
        >>> optimizer = SGD([p], learning_rate=0.25, momentum=0.5)
        >>> p.square().sum().backward()
        >>> optimizer.step()
        >>> optimizer.state()
        {'steps': array(1), 'velocity 0': array([2., 4.])}

        It goes into a file with `np.savez(file, **optimizer.state())`, and comes back with
        `load_state`.
        """
        return {name: np.array(x) for name, x in self._named_state().items()}

    def load_state(self, arrays: Mapping[str, Any]) -> None:
        """Go on from a state that `state()` of such an optimizer gave, also in compiled steps.

        Parameters
        ----------
        arrays : mapping of str to ndarray
            The arrays by name; they are copied. What `np.load` gives will do.

        Raises
        ------
        ValueError
            Where names, shapes or dtypes are not those of this optimizer, or `steps` is below 0.
            Nothing has changed then.

        Examples
        --------
        >>> import numpy as np
        >>> from tinygrad_steel import Adam, Tensor
        >>> p, q = (Tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
        >>> first = Adam([p])
        >>> for _ in range(2):
        ...     first.zero_grad()
        ...     p.square().sum().backward()
        ...     first.step()
        >>> second = Adam([q])
        >>> second.load_state(first.state())
        >>> second.steps
        2
        """
        found = {name: np.array(x) for name, x in arrays.items()}
        check_state(type(self).__name__, found, self._named_state())
        self.steps = int(found["steps"])
        states = iter(found[name] for name in self._named_state() if name != "steps")
        self.states = [[next(states) for _ in kept] for kept in self.states]

    def _named_state(self) -> dict[str, Any]:
        """What is remembered, by name: the arrays themselves."""
        named: dict[str, Any] = {"steps": np.array(self.steps, np.int64)}
        for i, kept in enumerate(self.states):
            for k, x in enumerate(kept):
                name = self.remembered[k] if k < len(self.remembered) else f"state{k}"
                named[f"{name} {i}"] = x
        return named


class SGD(Optimizer):
    """Stochastic gradient descent, `p -= learning_rate * grad`, with or without momentum.

    With momentum each parameter has a velocity, 0 at first: `v = momentum * v + grad`, then
    `p -= learning_rate * v`.

    Parameters
    ----------
    parameters : iterable of Tensors
        Leaves that require a gradient, each once.
    learning_rate : float
        The size of a step, above 0.
    momentum : float
        How much of its velocity a parameter keeps, at least 0 and below 1.

    Raises
    ------
    TypeError
        For a single Tensor or a dict of them, and for a learning rate that is text.
    ValueError
        For parameters that cannot be trained, and for numbers outside of their range.

    References
    ----------
    The momentum is the heavy ball of B. T. Polyak, "Some methods of speeding up the convergence of
    iteration methods", 1964, with the learning rate outside of the velocity.

    Examples
    --------
    >>> from tinygrad_steel import SGD, Tensor
    >>> p = Tensor([1.0, 2.0], requires_grad=True)
    >>> p.square().sum().backward()
    >>> SGD([p], learning_rate=0.25).step()
    >>> p.data
    array([0.5, 1. ])
    """

    remembered = ("velocity",)

    def __init__(
        self,
        parameters: Iterable[Tensor],
        learning_rate: float = 0.001,
        momentum: float = 0.0,
        **unknown: Never,
    ):
        super().__init__(parameters, learning_rate, **unknown)
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum is at least 0 and below 1, not {momentum}")
        self.momentum = momentum
        if momentum:
            self.states = [[start(p)] for p in self.parameters]

    def numbers(self, dtype: np.dtype) -> tuple[np.ndarray, ...]:
        return np.array(self.learning_rate, working(dtype)), np.array(self.momentum, working(dtype))

    def rule(self, g: Any, state: Sequence[Any], *numbers: Any) -> tuple[Any, list[Any]]:
        rate, momentum = numbers
        if not state:
            return rate * g, []
        velocity = momentum * state[0] + g
        return rate * velocity, [velocity]

    def step(self) -> None:
        # A class of somebody's own may have other rules and numbers.
        if self.momentum or self.__class__ is not SGD:
            super().step()
            return
        # The shortest way: a step on a small batch takes some 30 microseconds in all.
        self._check()
        self.steps += 1
        for p, rate in zip(self.parameters, self.rates):
            p._move(rate * p._grad)


class Adam(Optimizer):
    """Adam, whose steps are scaled by the recent size of each element's gradient.

    With `m = beta1 * m + (1 - beta1) * grad` and `v = beta2 * v + (1 - beta2) * grad**2`, both 0 at
    first, step t lowers a parameter by `learning_rate * m_hat / (sqrt(v_hat) + epsilon)`, where
    `m_hat = m / (1 - beta1**t)` and `v_hat = v / (1 - beta2**t)`.

    Parameters
    ----------
    parameters : iterable of Tensors
        Leaves that require a gradient, each once.
    learning_rate : float
        The size of a step, above 0.
    beta1, beta2 : float
        How slowly the mean `m` and the mean square `v` of the gradient are forgotten, from 0 to
        below 1.
    epsilon : float
        Keeps the division finite; at least 0.

    Raises
    ------
    TypeError
        For a single Tensor or a dict of them, and for a learning rate that is text.
    ValueError
        For parameters that cannot be trained, and for numbers outside of their range.

    References
    ----------
    D. P. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization", 2015, algorithm 1.

    Examples
    --------
    >>> from tinygrad_steel import Adam, Tensor
    >>> p = Tensor([1.0, 2.0], requires_grad=True)
    >>> p.square().sum().backward()
    >>> Adam([p], learning_rate=0.25).step()  # the first step is learning_rate * sign(gradient)
    >>> p.data.round(6)
    array([0.75, 1.75])
    """

    remembered = ("mean", "square")

    def __init__(
        self,
        parameters: Iterable[Tensor],
        learning_rate: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        **unknown: Never,
    ):
        super().__init__(parameters, learning_rate, **unknown)
        if not (0 <= beta1 < 1 and 0 <= beta2 < 1):
            raise ValueError(f"beta1 and beta2 are at least 0 and below 1, not {beta1} and {beta2}")
        if not 0 <= epsilon < np.inf:
            raise ValueError(f"epsilon is at least 0, not {epsilon}: below, a step may go uphill")
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        self.states = [[start(p), start(p)] for p in self.parameters]

    def numbers(self, dtype: np.dtype) -> tuple[np.ndarray, ...]:
        corrections = 1 - self.beta1**self.steps, 1 - self.beta2**self.steps
        return tuple(np.array(x, working(dtype)) for x in (self.learning_rate, *corrections))

    def rule(self, g: Any, state: Sequence[Any], *numbers: Any) -> tuple[Any, list[Any]]:
        rate, mean_correction, square_correction = numbers
        mean = self.beta1 * state[0] + (1 - self.beta1) * g
        square = self.beta2 * state[1] + (1 - self.beta2) * g * g
        size = np.sqrt(square / square_correction) + self.epsilon
        return rate * (mean / mean_correction) / size, [mean, square]
