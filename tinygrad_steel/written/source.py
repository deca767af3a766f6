"""The backprop of a loss as NumPy source: `write_backprop`."""

from __future__ import annotations

import itertools
import linecache
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from ..engine.reads import refuse_reads
from ..engine.tensor import Tensor
from ..program.definitions import numpy_backprop
from ..program.draws import no_draws_in_vjps
from ..program.given_names import Names, named_leaves
from ..program.redrawn import Sequence
from ..program.trace import for_reader, trace
from .highlighted import source_page
from .layout import function_text

FILES = itertools.count(1)  # the numbers of what is run


def write_backprop(loss: Tensor, names: Names = None) -> Source:
    """Write the backprop of a loss as source that needs NumPy alone, chained as if by hand.

    Its function `backprop` takes the leaves of the graph, data first, then those that require a
    gradient, as arrays of the traced shapes. It computes forward and backward, and returns the loss
    and the gradient of each leaf that requires one. Named Tensors keep their names, and `G_name` is
    the gradient of the loss with respect to `name`.

    Parameters
    ----------
    loss : Tensor
        A loss of one element.
    names : dict, optional
        Variable names for Tensors without a name, such as `locals()`.

    Returns
    -------
    Source
        A str with `arguments`, the arrays with which the loss was traced, and `function()`, the
        function itself.

    Raises
    ------
    RuntimeError, ValueError
        As `loss.backward()` does. The function itself raises ValueError where a mask, as in
        `x[mask]`, takes another number of elements than it did.
    TypeError
        For an op of one's own that cannot be written in NumPy terms, or that draws random numbers
        other than by dropout and noise; and where Python has read a number that the loss depends on
        (`if t > 0`, `rows[t]`): the source would keep it whatever its arguments are.

    Warns
    -----
    FrozenNumberWarning
        Where a number was read which may, or may not, be in the loss.

    Notes
    -----
    The source comes from running the ops' own rules on Tensors: no formula is written twice. A name
    that cannot stand in it is changed, and a comment says so.

    What `dropout` and `noise` draw, it draws again, from a generator that is its last argument,
    `rng`; there are several where there are several generators, and where somebody else has drawn in
    between.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import Tensor, write_backprop
    >>> x = Tensor([[1.0, 2.0], [3.0, 4.0]], name="x")
    >>> weight = Tensor([[1.0], [-1.0]], requires_grad=True, name="weight")
    >>> source = write_backprop(np.mean(np.square(x @ weight)))
    >>> print(source)
    import numpy as np
    <BLANKLINE>
    <BLANKLINE>
    def backprop(x, weight):
        # forward
        t1 = x @ weight
        loss = np.mean(np.square(t1))
        # backward
        G_loss = 1.0
        G_weight = x.T @ (2 * t1 * G_loss / 2)
        return loss, G_weight
    <BLANKLINE>
    >>> backprop = source.function()
    >>> backprop(**source.arguments)[1]
    array([[-4.],
           [-6.]])
    """
    refuse_reads([loss], named_leaves(loss, names), "the written source would keep that number")
    with no_draws_in_vjps(loss, "the source"):
        traced = for_reader(trace(loss, names))
    written, functions = numpy_backprop(traced, names)
    texts = [*map(function_text, [*functions, written.function])]
    imports = ["import numpy as np"]
    if any("scipy.special." in text for text in texts):
        imports.append("import scipy.special")
    source = Source("\n\n\n".join(["\n".join(imports), *texts]) + "\n")
    source.arrays = {name: traced.arrays[x].copy() for x, name in written.arguments.items()}
    source.generators = written.generators
    return source


class Source(str):
    """Python source, as `write_backprop` makes it: a str that can be run.

    Attributes
    ----------
    arguments : dict of str
        The arrays with which it gives what the graph gave, by the names of its arguments.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import Tensor, write_backprop
    >>> w = Tensor([1.0, 2.0], requires_grad=True, name="w")
    >>> source = write_backprop(np.sum(w * w))
    >>> source.function()(**source.arguments)
    (np.float64(5.0), array([2., 4.]))
    """

    arrays: dict[str, Any]
    generators: Mapping[str, Sequence]

    @property
    def arguments(self) -> dict[str, Any]:
        """The arrays with which the graph was traced, by the names of the arguments.

        A random generator among them is a new one each time, as it was before the graph drew.
        """
        if not self.generators:
            return self.arrays
        return self.arrays | {name: x.again() for name, x in self.generators.items()}

    def _repr_html_(self) -> str:
        return source_page(self)

    def function(self) -> Callable[..., Any]:
        """The function `backprop` itself, whose lines show up in tracebacks."""
        file = f"<backprop {next(FILES)}>"
        linecache.cache[file] = (len(self), None, self.splitlines(keepends=True), file)
        namespace: dict[str, Any] = {}
        exec(compile(self, file, "exec"), namespace)
        found: Callable[..., Any] = namespace["backprop"]
        weakref.finalize(found, linecache.cache.pop, file, None)  # the lines go with the function
        return found
