"""The engine in one page: reverse mode in some 60 lines of code, in the order of its ideas.

After reading this file you can explain, and write yourself, what happens in `loss.backward()`. It is
tinygrad_steel in small, with the same names and the same gradients
(`tests/examples/test_engine_in_one_page.py` compares them). Sections 1 to 5 are the engine, section 6
has the rules, section 7 uses both: it takes a second derivative, writes a backprop down, and trains a
small network. The end says what the library adds. To run it:

    python examples/tutorials/engine_in_one_page.py
"""

from itertools import count

import numpy as np

# 1. A rule
#
# A loss is a chain of small functions. Say that one of them is y = f(x), and that we know how the
# loss changes with y: one number for each element of y, the slope of the loss along it. Call these
# numbers g. They have the shape of y and are the gradient of y.
#
# From g, the rule of f makes the gradient of x. The rule is called a vjp, vector-Jacobian product,
# because it multiplies g by the matrix of all slopes of y along x. We never build that matrix. For
# y = a * b with a million elements each, it would have a million million entries, nearly all of them
# zero. What is left of the product is g * b.
#
# So an op is a NumPy function and one vjp for each of its inputs. A vjp is called as
# vjp(g, y, *inputs): what it needs most often comes first. The result of an op without vjps, such as
# a comparison, is a constant: no gradient goes back through it.

VJPS = {}


def op(forward, *vjps):
    """Say what the vjps of a NumPy function are."""
    VJPS[forward] = vjps


# 2. A Tensor remembers
#
# An array does not know where it comes from. A Tensor is an array that does: it keeps the op, the
# inputs and the parameters (axis=..., keepdims=...) that made it. A Tensor without an op is a leaf:
# data, or a parameter to learn.
#
# A model is plain NumPy. If one of the arguments is a Tensor, NumPy hands the call over to it: through
# __array_ufunc__ for functions like np.add, through __array_function__ for functions like np.sum.
# NDArrayOperatorsMixin turns a + b into np.add(a, b).
#
# There is no graph to declare and to keep in step with the code. Python's loops and branches run as
# they always do; what is remembered is what happened.

next_age = count().__next__


class Tensor(np.lib.mixins.NDArrayOperatorsMixin):
    """An array that remembers how it was computed, and so can send gradients back."""

    def __init__(self, data, requires_grad=False, name=None):
        self.data = np.array(data, dtype=float)
        self.requires_grad, self.name, self.grad = requires_grad, name, None
        self.op, self.inputs, self.params = None, (), {}
        self.age = next_age()

    shape = property(lambda self: self.data.shape)

    def __array_ufunc__(self, ufunc, method, *inputs):
        return record(ufunc, inputs, {}) if method == "__call__" else NotImplemented

    def __array_function__(self, function, types, args, kwargs):
        return record(function, args, kwargs)

    def backward(self, gradient=1.0):
        """Add the gradient of this Tensor to `.grad` of the leaves that it depends on."""
        for t, g in walk(self, np.full(self.shape, gradient)):
            if t.op is None:
                t.grad = g if t.grad is None else t.grad + g


def record(op, inputs, params):
    """Run an op on the arrays of its inputs; the result remembers it."""
    y = Tensor(op(*map(data_of, inputs), **params))
    y.op, y.inputs, y.params = op, inputs, params
    y.requires_grad = VJPS[op] != () and any(getattr(x, "requires_grad", False) for x in inputs)
    return y


def data_of(x):
    """The array of a Tensor; a plain number or array as it is."""
    return x.data if isinstance(x, Tensor) else x


# 3. The walk back
#
# One walk from the loss to the leaves gives the gradients of all parameters. In the other direction,
# it would take one walk for each parameter. This is why training goes in reverse.
#
# In which order? A Tensor that is used twice gets a part of its gradient from each user, and these
# parts add up, because the slopes along two paths to the loss do. It may pass its gradient on only
# when the last part has arrived, so all of its users must have their turn before it. That is a
# topological order, and we need not search for one. A result is made after its inputs, so every user
# of a Tensor is younger than the Tensor. From the youngest to the oldest is always such an order, and
# age is just a number that counts up.
#
# (Recursion looks simpler. With b = a + a and c = b + b, it goes on to a as soon as half of b's
# gradient has arrived. Then it either counts that half twice, or walks every path to the loss
# separately: twenty such steps have a million paths. And a long loop overflows its stack.)
#
# `pending` has the gradients that are on their way. When its turn comes, a Tensor's gradient is taken
# out of there. By then it is complete: every Tensor that could add to it is younger and has had its
# turn. It is not needed again and so not kept: a deep network has a few gradients in memory at a time,
# not all of them.


def walk(root, g):
    """Go back from `root`: every Tensor with its whole gradient, the youngest first."""
    pending = {root.age: (root, g)}
    while pending:
        y, g = pending.pop(max(pending))
        yield y, g
        for x, vjp in zip(y.inputs, VJPS.get(y.op, ())):
            if getattr(x, "requires_grad", False):
                gx = unbroadcast(send(vjp, g, y), x.shape)
                if x.age in pending:
                    gx = pending[x.age][1] + gx
                pending[x.age] = x, gx


# 4. Un-broadcasting
#
# NumPy repeats what is too small: in x @ weight + bias, a bias of shape (7,) is added to each row. A
# number that is used in ten places gets ten parts of its gradient, and they add up. So the gradient
# of bias is the sum over the rows. It is the same sum as in section 3, with the users side by side in
# one array.
#
# Many ops broadcast, np.add and np.matmul alike, and forgetting the sum is a classic mistake in a
# backprop by hand. Here the sum stands once, in the walk, after every rule. So no rule has to deal
# with it: the rule of addition passes g on to both sides as it is. It works the other way, too: a rule
# may return a smaller array than its input, which stands for its repetition. So the rule of a sum
# just passes g on.


def unbroadcast(g, shape):
    """Sum a gradient over the copies that broadcasting has made, or stretch one that is too small.

    >>> unbroadcast(np.array([[1, 2, 3], [10, 20, 30]]), (3,))
    array([11, 22, 33])
    """
    big = np.broadcast_shapes(g.shape, shape)
    if g.shape != big:
        g = np.broadcast_to(g, big)
    if shape != big:
        own = (1,) * (len(big) - len(shape)) + shape  # what is missing in front has length 1
        copied = tuple(axis for axis, n in enumerate(own) if n != big[axis])
        g = np.reshape(np.sum(g, axis=copied), shape)
    return g


# 5. Rules run on Tensors, too
#
# A rule is written with NumPy's functions, and Tensors accept these. Give it arrays and it returns an
# array: that is backward(). Give the same rule Tensors and its work is recorded like everything else:
# the gradient is a Tensor with a history, from which one can go back once more. That is grad(), and
# grad of grad is a second derivative. No rule is written twice for this, so no two can disagree.
#
# More follows from this one decision. A recorded backward can be read: section 7 prints one as NumPy
# source. The library draws it, compares it with your own, and compiles it.
#
# It asks two things of a rule. A rule changes nothing in place, because what is recorded must stay as
# it was. And it uses its inputs rather than numbers taken from them, which have no history.


def send(vjp, g, y):
    """What `y` sends to one of its inputs: on Tensors where `g` is one, else on arrays."""
    if isinstance(g, Tensor):
        return vjp(g, y, *y.inputs, **y.params)
    return vjp(g, y.data, *map(data_of, y.inputs), **y.params)


def grad(y, xs, gradient=1.0):
    """The gradient of `y` with respect to each of `xs`, as Tensors to be differentiated again."""
    found = {t.age: g for t, g in walk(y, Tensor(np.full(y.shape, gradient)))}
    return [found[x.age] if x.age in found else Tensor(np.zeros(x.shape)) for x in xs]


# 6. The rules
#
# With the walk in place, the rest is a page of calculus. If y = f(x) is elementwise, the rule is
# g * f'(x), written with y where y has the value already: exp is its own slope.

op(np.add, lambda g, y, a, b: g, lambda g, y, a, b: g)
op(np.subtract, lambda g, y, a, b: g, lambda g, y, a, b: -g)
op(np.multiply, lambda g, y, a, b: g * b, lambda g, y, a, b: g * a)
op(np.divide, lambda g, y, a, b: g / b, lambda g, y, a, b: -g * y / b)
op(np.negative, lambda g, y, x: -g)
op(np.exp, lambda g, y, x: g * y)
op(np.log, lambda g, y, x: g / x)
op(np.tanh, lambda g, y, x: g * (1 - y * y))
op(np.greater)
op(np.equal)

# Matrices, or stacks of them: there is one way to multiply g and the other factor so that the shapes
# fit.

op(
    np.matmul,
    lambda g, y, a, b: g @ np.swapaxes(b, -1, -2),
    lambda g, y, a, b: np.swapaxes(a, -1, -2) @ g,
)

# Functions that only rearrange elements send each gradient back to where its element came from. The
# walk undoes np.broadcast_to.

op(np.swapaxes, lambda g, y, x, i, j: np.swapaxes(g, i, j))
op(np.reshape, lambda g, y, x, shape: np.reshape(g, x.shape))
op(np.expand_dims, lambda g, y, x, axis: np.reshape(g, x.shape))
op(np.broadcast_to, lambda g, y, x, shape: g)


def spread(g, axis, keepdims):
    """Put the axes that a reduction took away back as axes of length 1."""
    return g if keepdims or axis is None else np.expand_dims(g, axis)


op(np.sum, lambda g, y, x, axis=None, keepdims=False: spread(g, axis, keepdims))

# The larger of two numbers has a kink where they are equal. On one side of it all of the gradient goes
# to a, on the other all of it goes to b. At the kink every split in between is valid, and we have to
# choose. Half for each does not depend on which of them comes first. It is also the mean of the slopes
# on the two sides, which central differences find. Giving all of it to both would be wrong:
# np.maximum(x, x) is x, but its slope would be 2. In max along an axis, all of the largest elements
# share the gradient.

op(
    np.maximum,
    lambda g, y, a, b: g * ((a > b) + 0.5 * (a == b)),
    lambda g, y, a, b: g * ((b > a) + 0.5 * (a == b)),
)


def max_vjp(g, y, x, axis=None, keepdims=False):
    """The elements that are the largest share its gradient."""
    hit = np.equal(x, spread(y, axis, keepdims))
    return spread(g, axis, keepdims) * (hit / np.sum(hit, axis=axis, keepdims=True))


op(np.max, max_vjp)


# 7. All of it at work


def source(*results):
    """What was recorded on the way to these Tensors, as lines of NumPy, oldest first."""
    history, waiting = {}, [*results]
    while waiting:
        t = waiting.pop()
        history[t.age] = t
        waiting += [x for x in t.inputs if isinstance(x, Tensor) and x.age not in history]
    return [f"{called(t)} = {call(t)}" for age, t in sorted(history.items()) if t.op]


def call(t):
    """The call that made a Tensor."""
    params = [f"{key}={value!r}" for key, value in t.params.items()]
    return f"np.{t.op.__name__}({', '.join([*map(called, t.inputs), *params])})"


def called(x):
    """A Tensor by its name, or by its age; a leaf without a name, and plain numbers, as numbers."""
    if not isinstance(x, Tensor):
        return repr(x)
    return x.name or (f"t{x.age}" if x.op else f"np.array({x.data.tolist()})")


def network(x, weights, biases):
    """A perceptron with one hidden layer."""
    hidden = np.maximum(x @ weights[0] + biases[0], 0)
    return hidden @ weights[1] + biases[1]


def train():
    """Learn exclusive or, which no straight line tells apart."""
    rng = np.random.default_rng(0)
    x, labels = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([[0], [1], [1], [0]])
    weights = [Tensor(rng.normal(size=shape), requires_grad=True) for shape in [(2, 8), (8, 1)]]
    biases = [Tensor(np.zeros(n), requires_grad=True) for n in (8, 1)]
    for step in range(101):
        difference = network(x, weights, biases) - labels
        loss = np.sum(difference * difference) / 4
        loss.backward()
        for t in [*weights, *biases]:
            t.data, t.grad = t.data - 0.1 * t.grad, None
        if step % 20 == 0:
            print(f"step {step:3}: loss {loss.data:.4f}")
    print("answers:", np.abs(network(x, weights, biases).data.round(1)).ravel())


def main():
    """Differentiate twice; write a backprop down; train."""
    x = Tensor(0.5, requires_grad=True)
    (slope,) = grad(np.tanh(x), [x])
    (curvature,) = grad(slope, [x])
    print(f"tanh at 0.5: slope {slope.data:.6f}, curvature {curvature.data:.6f}")

    x = Tensor([[1.0, 2.0], [3.0, 4.0]], name="x")
    weight = Tensor([[0.5], [-0.5]], requires_grad=True, name="weight")
    loss = np.sum(np.tanh(x @ weight))
    print("\nforward and backward, as they were recorded:")
    print(*source(loss, *grad(loss, [weight])), sep="\n")

    print("\nexclusive or:")
    train()


if __name__ == "__main__":
    main()

# What the library adds
#
# In `tinygrad_steel/`, `engine/tensor.py` has Tensor and record_op, `engine/backward.py` the walk (with
# a heap in place of max(pending), which is slow if much is pending), `engine/gradients.py` grad, and
# `ops/` the rules, each with samples on which finite differences check it. The library also refuses
# what would go wrong, and says what to do instead (data that has changed since, an array written
# into). It has stated behaviour for dtypes, NaN and infinities, records only what is needed, and
# follows NumPy's other functions. `program/` then takes a recorded loss to its readers.
# `tinygrad_steel/README.md` is the map.
#
# To read on: Griewank and Walther, "Evaluating Derivatives" (2008), on all of this and what it costs;
# Rumelhart, Hinton and Williams (1986), on networks that learn by it. `sources.md` has both.
