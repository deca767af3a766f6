"""`compile_backprop`: a training step traced once, then run without Python between its parts."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine.optim import Optimizer
from ..engine.tensor import Tensor
from ..program.given_names import Names
from .backends import engine_for
from .engines import Engine
from .lower import TrainingStep, training_step
from .parameters import Parameters


def compile_backprop(
    loss: Tensor,
    names: Names = None,
    *,
    optimizer: Optimizer | None = None,
    outputs: Sequence[Tensor] = (),
    backend: str = "auto",
    threads: int | None = None,
) -> Step:
    """Compile what computing this loss and `loss.backward()` do, for data of the same shapes.

    Parameters
    ----------
    loss : Tensor
        A loss of one element. What differs from step to step is a Tensor with a name; all else
        without history is a constant, see Notes.
    names : dict, optional
        Variable names for Tensors without a name, such as `locals()`.
    optimizer : Optimizer, optional
        Its step is done as well.
    outputs : sequence of Tensor
        Tensors behind the loss whose arrays are wanted, in `step.outputs`.
    backend : {"auto", "numba", "numpy", "jax"}
        "numba" makes loops in machine code, compiled once and kept on disk; "numpy" makes calls into
        arrays allocated once; "jax" runs `jax.jit`, where jax runs by default, as on a GPU. "auto"
        takes numba if it is installed, every op has a loop form, and the program is at most 600 lines,
        some 12 seconds of compiling; else numpy.
    threads : int, optional
        How many threads share what is large, with numba. Left out: as many as this process may use,
        and no more than OMP_NUM_THREADS and NUMBA_NUM_THREADS say. Results are the same to the last
        bit for any number.

    Returns
    -------
    Step
        A function of the arrays of the graph's named leaves that require no gradient, in the order
        of their first use or by name. It returns the loss, a float. Gradients are then in `.grad` of
        the parameters, not added to what was there. The next call overwrites gradients and outputs.

    Raises
    ------
    RuntimeError, ValueError
        As `loss.backward()` does, and ValueError for an unknown back end. The step itself raises
        ValueError for another shape or for class ids out of range, and RuntimeError where a constant
        or a setting of the optimizer other than its learning rate has changed, or a parameter no
        longer requires a gradient: compile again.
    TypeError
        Where Python has read a number that the loss depends on (`if t > 0`, `rows[t]`, `range(t)`,
        `math.exp(t)`), which the step would keep for ever. For an optimizer that has a `step()` of
        its own, or a `rule()` that counts steps or keeps something elsewhere than in its state.
        Where numba is asked for and cannot do it, as for two float dtypes. Where jax is asked for,
        and an op of your own does not run on Tensors, or a shape depends on the data.
    ImportError
        Where numba or jax is asked for and not installed.

    Warns
    -----
    FrozenNumberWarning
        Where a number was read which may, or may not, be in the loss.

    Notes
    -----
    Constants are arrays and random numbers in the expression, what came into it by `detach()`,
    `numpy()`, `item()` or from inside `no_grad()`, and what an op of your own takes from outside of
    its arguments. New data assigned to a constant Tensor is noticed; what is written into its array
    (`t.data[0] = 1`) is not. An op that draws random numbers draws at every step, as long as the
    loss or an output depends on it.

    Parameters keep their numbers in memory that the step has; a new array assigned to `.data` is
    noticed. So it is with Tensors that require a gradient and get none, such as a threshold in a
    comparison: their `.grad` stays as it is.

    Calls from several threads wait for one another. Steps that share parameters are not to be called
    at the same time. Other threads of Python run during a step of numpy, or of numba with more than
    one thread, and may see parameters of which some are renewed and others not yet. An interrupt
    (Ctrl-C) waits for the end of the step under way.

    With jax, the dtypes are those of the program whatever `jax_enable_x64` says. Where jax has
    several devices, arrays whose first axis their number divides are split among them along it. XLA,
    its compiler, takes x for log(exp(x)) and exp(a + b) for exp(a) * exp(b): where these overflow,
    NumPy has infinity or NaN, and jax a number.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import Tensor, compile_backprop
    >>> x, y = Tensor([[1.0], [2.0]], name="x"), Tensor([[3.0], [5.0]], name="y")
    >>> weight = Tensor([[1.0]], requires_grad=True, name="weight")
    >>> step = compile_backprop(np.mean(np.square(x @ weight - y)), backend="numpy")
    >>> step(np.array([[1.0], [2.0]]), y=np.array([[1.0], [3.0]]))
    0.5
    >>> weight.grad
    array([[-2.]])
    """
    program = training_step(loss, names, optimizer, outputs)
    return Step(program, engine_for(program, backend, "step", threads))


class Compiled:
    """A program and the engine that runs it, beside the Tensors that they were made from."""

    def __init__(self, program: TrainingStep, engine: Engine):
        self.program, self.engine = program, engine
        self.backend, self.source = engine.backend, engine.source
        self.threads = engine.threads
        self.parameters = Parameters(program, engine)
        self.lock = threading.Lock()  # one memory: a call from another thread waits

    @property
    def compile_seconds(self) -> float:
        """How many seconds it took to compile, or to load from disk, up to now."""
        return self.engine.compile_seconds


class Step(Compiled):
    """A compiled step, as `compile_backprop` makes it: call it with arrays, and it gives the loss.

    Attributes
    ----------
    arguments : list of str
        The names of what it takes, in order.
    outputs : list of ndarray
        The arrays of the outputs that were asked for, of the latest call.
    gradients : dict of str to ndarray
        The gradients of the latest call, by the names of the parameters.
    backend : str
        "numba", "numpy" or "jax".
    source : str
        What runs, as Python.
    threads : int or None
        How many threads share its work: 1 where nothing in it is large, None where BLAS or XLA
        decides.
    compile_seconds : float
        How long it took to compile, or to load from disk, up to now.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import Tensor, compile_backprop
    >>> x, w = Tensor([1.0, 2.0], name="x"), Tensor([3.0, 4.0], requires_grad=True, name="w")
    >>> step = compile_backprop(np.sum(x * w), backend="numpy")
    >>> step
    <compiled step(x), numpy>
    >>> step([5.0, 6.0]), step.gradients
    (39.0, {'w': array([5., 6.])})
    """

    def __init__(self, program: TrainingStep, engine: Engine):
        super().__init__(program, engine)
        self.arguments = [program.names.get(x, f"x{i}") for i, x in enumerate(program.feeds)]
        # Looked up once, as the smallest steps take two microseconds; `with` costs twice as much
        self.acquire, self.release = self.lock.acquire, self.lock.release
        self.before, self.after = self.parameters.before, self.parameters.after
        self.run = engine.step

    @property
    def outputs(self) -> list[np.ndarray]:
        """The arrays of the outputs, in the order in which they were asked for."""
        return [self.engine.view(x).astype(x.dtype, copy=False) for x in self.program.outputs]

    @property
    def gradients(self) -> dict[str, np.ndarray]:
        """The gradients of the latest call, by the names of the parameters."""
        gradients = enumerate(self.program.parameters)
        return {p.name or f"parameter{i}": self.engine.view(g) for i, (p, _, g) in gradients}

    def __call__(self, /, *arrays: Any, **named: Any) -> float:
        """Do one step on new data, and give its loss; see `compile_backprop`."""
        if named or len(arrays) != len(self.arguments):
            arrays = self._in_order(arrays, named)
        self.acquire()
        try:
            self.before()
            loss = self.run(arrays)
            self.after()
        finally:
            self.release()
        return loss

    def _in_order(self, arrays: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
        """The arguments by position; TypeError where they are not those of the step."""
        surplus = len(arrays) - len(self.arguments)
        names = [*self.arguments[: len(arrays)], *["one more"] * surplus, *named]
        if sorted(names) != sorted(self.arguments):
            takes, got = ", ".join(self.arguments) or "nothing", ", ".join(names) or "nothing"
            has_twins = len({*self.arguments}) < len(self.arguments)
            twice = " (by position, as two have one name)" if has_twins else ""
            raise TypeError(f"the step takes {takes}{twice}; got {got}")
        given = dict(zip(names, (*arrays, *named.values())))
        return tuple(given[name] for name in self.arguments)

    def __repr__(self) -> str:
        return f"<compiled step({', '.join(self.arguments)}), {self.backend}>"
