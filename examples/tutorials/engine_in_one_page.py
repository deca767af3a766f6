"""The engine in one page: reverse mode in some 60 lines of code, in the order of its ideas.

    python examples/tutorials/engine_in_one_page.py

takes a second derivative, writes a backprop down, and trains a small network. This is tinygrad_steel
in small: the names are the library's, and so are the gradients, which a test compares
(`tests/examples/test_engine_in_one_page.py`). Sections 1 to 5 are the engine, section 6 has the rules,
section 7 uses both. What the library adds stands at the end.
"""

from itertools import count

import numpy as np

# 1. A rule
#
# A loss is a chain of small functions. Say that one of them is y = f(x), and that we know how the
# loss answers to y: a number for each element of y, the loss's slope along it. Call these numbers
# g. They have the shape of y, and are the gradient of y.
#
# From g, the rule of f makes the gradient of x. It is called a vjp, vector-Jacobian product,
# since it is g times the matrix of all slopes of y along x. Nobody builds that matrix. For
# y = a * b, a million elements each, it would have a million million entries, nearly all of them
# zero, and g * b is what is left of it.
#
# So an op is a function of NumPy's and one vjp for each of its inputs. A vjp is called as
# vjp(g, y, *inputs): what it needs most often comes first. An op without vjps is a constant to
# every gradient; a comparison is one.

VJPS = {}


def op(forward, *vjps):
    """Say what the vjps of a NumPy function are."""
    VJPS[forward] = vjps


# 2. A Tensor remembers
#
# An array does not know where it comes from. A Tensor is an array that does: it keeps the op, the
# inputs and the parameters (axis=..., keepdims=...) which made it. A Tensor without an op is a
# leaf: data, or a parameter to be learned.
#
# Who writes a model writes plain NumPy. Where one of the arguments is a Tensor, NumPy hands the
# call over to it, by __array_ufunc__ for np.add and its like and by __array_function__ for np.sum
# and its like. NDArrayOperatorsMixin makes np.add(a, b) of a + b.
#
# There is no graph to declare, and none to be kept in step with the code. Loops and branches of
# Python run as they always do; what is remembered is what has happened.

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
# One walk from the loss to the leaves gives the gradients of all parameters. Going the other way
# would take a walk for each parameter: this is why training goes in reverse.
#
# In which order? A Tensor that is used twice gets a part of its gradient from each user, and these
# parts add up, as the slopes along two ways to the loss do. It may hand its gradient on only when the
# last part is there, so all users must have had their turn before it. That is a topological order,
# and we need not search for one. A result is made after its inputs: every user of a Tensor is
# younger than the Tensor. Going from the youngest to the oldest is such an order, always, and
# age is nothing but a number that counts up.
#
# (Recursion looks simpler. With b = a + a and c = b + b it goes on to a as soon as half of b's
# gradient is there. Then it counts that half twice, or it walks every way to the loss by itself:
# twenty such steps have a million of them. And a long loop is more than its stack holds.)
#
# `pending` has the gradients that are on their way. The turn of a Tensor takes its gradient out of
# there. It is whole then: everybody who could add to it is younger and through. And nobody asks for
# it again, so it need not be kept: a deep network has a few gradients in memory at a time, and not
# all of them.


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
# NumPy repeats what is too small: in x @ weight + bias, a bias of shape (7,) stands in each row. A
# number that is used in ten places gets ten parts of its gradient, and they add up: the gradient of
# bias is the sum over the rows. This is section 3's sum again, with the users side by side in one
# array.
#
# Any op may broadcast, np.add and np.matmul alike, and forgetting the sum is the classic mistake of
# a backprop by hand. Here it stands once, in the walk, after every rule. So no rule has to think of
# it: that of addition hands g on to both sides as it is. It works the other way, too: a rule may
# return less than the shape of its input, and that stands for its repetition. The rule of a sum is
# then to hand on g.


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
# A rule is written in NumPy's terms, and Tensors know these. Give it arrays, and out comes an array:
# that is backward(). Give the same rule Tensors, and what it computes is recorded like everything
# else: the gradient is a Tensor with a history, a loss to go back from once more. This is grad(),
# and grad of grad is a second derivative. No rule is written twice for it, so no two can disagree.
#
# More follows from this one decision. A backward that is recorded can be read: section 7 prints one
# as NumPy source. The library draws it, compares it with a person's own, and compiles it.
#
# It asks two things of a rule. It changes nothing in place, since what is recorded must stay as it
# was, and it uses its inputs rather than numbers taken from them, which have no history.


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
# With the walk in place, the rest is a page of calculus. Of y = f(x), f elementwise, the rule is
# g * f'(x), best said with y where y has it already: exp is its own slope.

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

# Matrices, or stacks of them: that the shapes fit leaves one way to put g and the other together.

op(
    np.matmul,
    lambda g, y, a, b: g @ np.swapaxes(b, -1, -2),
    lambda g, y, a, b: np.swapaxes(a, -1, -2) @ g,
)

# What only arranges elements sends each gradient to where its element came from. np.broadcast_to is
# undone by the walk.

op(np.swapaxes, lambda g, y, x, i, j: np.swapaxes(g, i, j))
op(np.reshape, lambda g, y, x, shape: np.reshape(g, x.shape))
op(np.expand_dims, lambda g, y, x, axis: np.reshape(g, x.shape))
op(np.broadcast_to, lambda g, y, x, shape: g)


def spread(g, axis, keepdims):
    """Put the axes that a reduction took away back as axes of length 1."""
    return g if keepdims or axis is None else np.expand_dims(g, axis)


op(np.sum, lambda g, y, x, axis=None, keepdims=False: spread(g, axis, keepdims))

# The larger of two numbers has a kink where they are equal. To the one side all of the gradient
# goes to a, to the other all of it to b: between them every split is as good, and we have to choose.
# Half for each is the choice that does not depend on who is named first. It is also the mean of what
# finite differences find to both sides, so that a check by differences agrees. To hand all of it to
# both would be wrong by any measure: np.maximum(x, x) is x, and its slope would be 2. With max along
# an axis, all that are the largest share.

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
# `tinygrad_steel/engine/tensor.py` has Tensor and record_op, `backward.py` the walk (with a heap for
# max(pending), which takes time where much is pending), `gradients.py` grad, `ops/` the rules, each
# with samples on which it is proven by finite differences. On top: what is wrong is refused with a
# way out (data that has changed since, an array written into); dtypes, NaN and infinities are
# pinned; nothing is recorded where nobody needs it; NumPy's other functions. `program/` then takes
# a recorded loss to its readers. `tinygrad_steel/README.md` is the map.
#
# To read on: Griewank and Walther, "Evaluating Derivatives" (2008), about all of this and what it
# costs; Rumelhart, Hinton and Williams (1986), about networks that learn by it. `sources.md` has
# both.
