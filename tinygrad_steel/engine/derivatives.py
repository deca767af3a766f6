"""Derivatives of functions, in a few lines over `grad`: those that autograd and JAX have, too.

Where all arguments are plain, so are the results; a Tensor among those to be differentiated gives
Tensors, which can be differentiated again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .gradients import grad
from .tensor import Tensor

Function = Callable[..., Any]


def value_and_grad(fn: Function, argnums: int | Sequence[int] = 0) -> Function:
    """The function that gives what `fn` gives, a single number, together with its gradient.

    Parameters
    ----------
    fn : callable
        A function of arrays, of which Tensors are made, or of Tensors; it returns one number.
    argnums : int or sequence of int
        With respect to which of its positional arguments.

    Returns
    -------
    callable
        A function of the same arguments; it returns the pair (value, gradient), with a list of
        gradients for a sequence of arguments.

    Raises
    ------
    TypeError
        When called: for integers, which have no gradient, and where `fn` returns no Tensor.
    ValueError
        When called: where `fn` returns more than one number.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import value_and_grad
    >>> def loss(w, x):
    ...     return np.mean(np.square(x @ w))
    >>> value, gradient = value_and_grad(loss)(np.array([1.0, 2.0]), np.eye(2))
    >>> float(value), gradient
    (2.5, array([1., 2.]))
    """

    def of(*args: Any, **kwargs: Any) -> Any:
        given, plain = with_leaves(args, argnums)
        y = fn(*given, **kwargs)
        found = grad(y, chosen(given, argnums))
        return (result(y, plain), result(found, plain))

    return of


def jacobian(fn: Function, argnum: int = 0) -> Function:
    """The function that gives the slopes of each number that comes out along each that goes in.

    It goes back once for each number that comes out.

    Parameters
    ----------
    fn : callable
        A function of arrays, of which Tensors are made, or of Tensors.
    argnum : int
        With respect to which of its positional arguments.

    Returns
    -------
    callable
        A function of the same arguments. The shape of what it returns is that of the result of
        `fn`, and then that of the argument.

    Raises
    ------
    TypeError
        When called: for integers, which have no gradient, and where `fn` returns no Tensor.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import jacobian
    >>> jacobian(np.cumprod)(np.array([2.0, 3.0, 5.0]))
    array([[ 1.,  0.,  0.],
           [ 3.,  2.,  0.],
           [15., 10.,  6.]])
    """

    def of(*args: Any, **kwargs: Any) -> Any:
        given, plain = with_leaves(args, argnum)
        y = fn(*given, **kwargs)
        return result(rows_of_slopes(y, given[argnum]), plain)

    return of


def rows_of_slopes(y: Any, x: Tensor) -> Tensor:
    """The gradient of each element of `y`, in the shape of `y` and then that of `x`."""
    shape = (*np.shape(y), *x.shape)
    units = np.reshape(np.eye(np.size(y)), (np.size(y), *np.shape(y)))
    rows = [grad(y, x, unit) for unit in units]
    if not rows:
        return Tensor(np.zeros(shape, x.dtype))
    found: Tensor = np.reshape(np.stack(rows), shape)  # type: ignore
    return found


def hessian(fn: Function, argnum: int = 0) -> Function:
    """The function that gives all second derivatives of `fn`, which returns a single number.

    It goes back once for each number that goes in: for the product with a vector alone, see `hvp`.

    Parameters
    ----------
    fn : callable
        A function of arrays, of which Tensors are made, or of Tensors; it returns one number.
    argnum : int
        With respect to which of its positional arguments.

    Returns
    -------
    callable
        A function of the same arguments. The shape of what it returns is that of the argument,
        twice.

    Raises
    ------
    TypeError
        When called: for integers, which have no gradient, and where `fn` returns no Tensor.
    ValueError
        When called: where `fn` returns more than one number.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import hessian
    >>> hessian(np.prod)(np.array([2.0, 3.0, 5.0]))
    array([[0., 5., 3.],
           [5., 0., 2.],
           [3., 2., 0.]])
    """

    def gradient(*args: Any, **kwargs: Any) -> Any:
        return grad(fn(*args, **kwargs), args[argnum])

    return jacobian(gradient, argnum)


def hvp(fn: Function, argnum: int = 0) -> Function:
    """The function that gives the product of the second derivatives of `fn` with a vector.

    It goes back twice, however many numbers go in.

    Parameters
    ----------
    fn : callable
        A function of arrays, of which Tensors are made, or of Tensors; it returns one number.
    argnum : int
        With respect to which of its positional arguments.

    Returns
    -------
    callable
        A function of the same arguments and, last, the vector: an array of the shape of the
        argument, as is what it returns.

    Raises
    ------
    TypeError
        When called: for integers, which have no gradient, and where `fn` returns no Tensor.
    ValueError
        When called: for a vector of another shape, and where `fn` returns more than one number.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import hvp
    >>> hvp(np.prod)(np.array([2.0, 3.0, 5.0]), np.array([1.0, 0.0, 0.0]))
    array([0., 5., 3.])
    """

    def of(*args: Any, **kwargs: Any) -> Any:
        *rest, vector = args
        given, plain = with_leaves(rest, argnum)
        x = given[argnum]
        return result(grad(grad(fn(*given, **kwargs), x), x, vector), plain)

    return of


def with_leaves(args: Sequence[Any], argnums: int | Sequence[int]) -> tuple[list[Any], bool]:
    """The arguments with Tensors to be differentiated, and whether these were all plain before."""
    wanted = [argnums] if isinstance(argnums, int) else [*argnums]
    plain = not any(isinstance(args[i], Tensor) for i in wanted)
    given = [*args]
    for i in wanted:
        if not isinstance(given[i], Tensor):
            given[i] = Tensor(given[i], requires_grad=True)
    return given, plain


def chosen(args: Sequence[Any], argnums: int | Sequence[int]) -> Any:
    """One of the arguments, or a list of them."""
    return args[argnums] if isinstance(argnums, int) else [args[i] for i in argnums]


def result(found: Any, plain: bool) -> Any:
    """What was found, as Tensors or as arrays."""
    if isinstance(found, list):
        return [result(x, plain) for x in found]
    return found.data if plain else found
