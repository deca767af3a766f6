"""Derivatives of functions, in a few lines over `grad`: those that autograd and JAX have, too.

Where all that decides on the results is plain, so are they. A Tensor among the arguments to be
differentiated gives Tensors, which can be differentiated again; so does one anywhere else, in another
argument or in what `fn` takes from outside, that requires a gradient or has a name.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from .gradients import grad
from .history import history
from .reads import is_constant
from .tensor import Tensor

Function = Callable[..., Any]


def value_and_grad(fn: Function, argnums: int | Sequence[int] = 0) -> Function:
    """Make the function that gives both what `fn` gives, one number, and its gradient.

    Parameters
    ----------
    fn : callable
        Takes arrays, of which Tensors are made, or Tensors, and returns one number.
    argnums : int or sequence of int
        With respect to which of its positional arguments.

    Returns
    -------
    callable
        A function of the same arguments, which returns the pair (value, gradient). A gradient has
        the shape and dtype of its argument; for a sequence of arguments there is a list of them.

    Raises
    ------
    TypeError
        For argnums that are no int. When called: where no positional argument has that number, for
        integers, which have no gradient, and where `fn` returns no Tensor.
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

    several = np.ndim(argnums) > 0
    wanted = positions(argnums)

    def of(*args: Any, **kwargs: Any) -> Any:
        given, leaves = with_leaves(args, wanted)
        y = fn(*given, **kwargs)
        gradients = grad(y, [given[i] for i in wanted])
        plain = {given[i] for i in wanted} == {*leaves}
        value, *found = results([y, *gradients], leaves, plain)
        return value, found if several else found[0]

    return of


def jacobian(fn: Function, argnum: int = 0) -> Function:
    """Make the function that gives all first derivatives of `fn`: of each number by each number.

    It goes back once for each number that `fn` returns.

    Parameters
    ----------
    fn : callable
        Takes arrays, of which Tensors are made, or Tensors; what it returns has any shape.
    argnum : int
        With respect to which of its positional arguments.

    Returns
    -------
    callable
        A function of the same arguments. Where `fn` returns shape (m,) and the argument has shape
        (n,), it returns shape (m, n): the one shape, then the other.

    Raises
    ------
    TypeError
        For an argnum that is no int. When called: where no positional argument has that number, for
        integers, which have no gradient, and where `fn` returns no Tensor.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import jacobian
    >>> jacobian(np.cumprod)(np.array([2.0, 3.0, 5.0]))
    array([[ 1.,  0.,  0.],
           [ 3.,  2.,  0.],
           [15., 10.,  6.]])
    """

    (place,) = positions(argnum)

    def of(*args: Any, **kwargs: Any) -> Any:
        given, leaves = with_leaves(args, [place])
        slopes = rows_of_slopes(fn(*given, **kwargs), given[place])
        return results([slopes], leaves, plain=bool(leaves))[0]

    return of


def rows_of_slopes(y: Any, x: Tensor) -> Tensor:
    """The gradient of each element of `y`, in the shape of `y` and then that of `x`."""
    shape = (*np.shape(y), *x.shape)
    units = np.reshape(np.eye(np.size(y)), (np.size(y), *np.shape(y)))
    rows = [grad(y, x, unit) for unit in units]
    if not rows:
        return Tensor(np.zeros(shape, x.dtype))
    found: Tensor = np.reshape(np.stack(rows), shape)  # type: ignore
    found._copied, found._viewed = True, ()
    return found


def hessian(fn: Function, argnum: int = 0) -> Function:
    """Make the function that gives all second derivatives of `fn`, which returns one number.

    It goes back once for each number in the argument. Where only the product with a vector is
    wanted, `hvp` is shorter.

    Parameters
    ----------
    fn : callable
        Takes arrays, of which Tensors are made, or Tensors, and returns one number.
    argnum : int
        With respect to which of its positional arguments.

    Returns
    -------
    callable
        A function of the same arguments. For an argument of shape (n,) it returns shape (n, n): the
        shape twice.

    Raises
    ------
    TypeError
        For an argnum that is no int. When called: where no positional argument has that number, for
        integers, which have no gradient, and where `fn` returns no Tensor.
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

    (place,) = positions(argnum)

    def gradient(*args: Any, **kwargs: Any) -> Any:
        return grad(fn(*args, **kwargs), args[place])

    return jacobian(gradient, place)


def hvp(fn: Function, argnum: int = 0) -> Function:
    """Make the function that gives the second derivatives of `fn`, times a vector.

    It goes back twice, however many numbers there are: the gradient of `fn`, times the vector, is
    differentiated once more.

    Parameters
    ----------
    fn : callable
        Takes arrays, of which Tensors are made, or Tensors, and returns one number.
    argnum : int
        With respect to which of its positional arguments.

    Returns
    -------
    callable
        A function of the same arguments and, last, the vector, by position. Vector and result have
        the shape of the argument.

    Raises
    ------
    TypeError
        For an argnum that is no int. When called: where no positional argument has that number, for
        integers, which have no gradient, and where `fn` returns no Tensor.
    ValueError
        When called: for a vector of another shape, and where `fn` returns more than one number.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import hvp
    >>> hvp(np.prod)(np.array([2.0, 3.0, 5.0]), np.array([1.0, 0.0, 0.0]))
    array([0., 5., 3.])
    """

    (place,) = positions(argnum)

    def of(*args: Any, **kwargs: Any) -> Any:
        if not args:
            raise TypeError("hvp(fn)(*arguments, vector): the vector is the last one, by position")
        *rest, vector = args
        given, leaves = with_leaves(rest, [place])
        x = given[place]
        product = grad(grad(fn(*given, **kwargs), x), x, vector)
        return results([product], leaves, plain=bool(leaves))[0]

    return of


def positions(argnums: Any) -> list[int]:
    """The numbers of arguments, one or several, as Python's own; TypeError for anything else."""
    wanted = [*argnums] if np.ndim(argnums) else [argnums]
    try:
        return [operator.index(i) for i in wanted]
    except TypeError as error:
        raise TypeError(
            f"which arguments to differentiate is said by their numbers, as 0 or (0, 2), not by "
            f"{wanted}"
        ) from error


def with_leaves(args: Sequence[Any], wanted: Sequence[int]) -> tuple[list[Any], list[Tensor]]:
    """The arguments with Tensors to be differentiated, and those of these that are made here."""
    given, leaves = [*args], []
    for i in wanted:
        if not -len(given) <= i < len(given):
            raise TypeError(
                f"argument {i} is to be differentiated, and {len(given)} came by position: give "
                f"it so, not by its name"
            )
        if not isinstance(given[i], Tensor):
            given[i] = Tensor(given[i], requires_grad=True)
            leaves.append(given[i])
    return given, leaves


def results(found: list[Any], leaves: Collection[Tensor], plain: bool) -> list[Any]:
    """What was found, as arrays where it was asked for on plain ones and nothing else decides.

    Else as Tensors, of which the leaves made for plain arrays are constants from here on.
    """
    follows = [depends_on_others(x, leaves) for x in found]
    if plain and not any(follows):
        return [x.data for x in found]
    if plain:
        found = [x if follow else x.detach() for x, follow in zip(found, follows)]
    for leaf in leaves:
        leaf._requires_grad = False  # not by the setter: what is recorded stays as it is
    return found


def depends_on_others(y: Tensor, leaves: Collection[Tensor]) -> bool:
    """Whether there is a leaf behind `y`, beside these, that wants a gradient or has a name."""
    made = {*leaves}
    return any(x._op is None and x not in made and not is_constant(x) for x in history([y]))
