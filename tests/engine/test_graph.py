"""The walk back: its order, accumulation, un-broadcasting, gradients of gradients, and recording on and off."""

import copy
import gc
import pickle
import threading
import weakref

import numpy as np
import pytest
from helpers import close, leaf

from tinygrad_steel import Tensor, grad, no_grad, op, relu, softmax_cross_entropy
from tinygrad_steel.engine.recording import RECORDING, Watcher, recording

pytestmark = pytest.mark.filterwarnings("error")


# Order and accumulation


def test_both_halves_arrive_before_the_walk_goes_on():
    a = leaf(1)
    b = a + a
    c = b + b
    c.backward()
    assert a.grad == 4


def test_branches_of_unequal_length():
    x = leaf(2)
    long = ((x * 3) * 1) * 1
    y = long + x * x  # 3x + x^2
    (y * long).backward()  # (3x + x^2) 3x: 18x + 9x^2
    assert x.grad == 72


def test_reuse():
    x = leaf(2)
    y = 3 * x
    (2 * y + 5 * y).backward()
    assert x.grad == 21


@pytest.mark.parametrize(
    "f, expected",
    [
        (lambda x: x + x, 2),
        (lambda x: x * x, 6),
        (lambda x: x - x, 0),
        (lambda x: x / x, 0),
        (lambda x: x**x, 56.6625318),
    ],
    ids=["x+x", "x*x", "x-x", "x/x", "x**x"],
)
def test_an_input_used_twice_by_one_op(f, expected):
    x = leaf(3)
    f(x).backward()
    assert x.grad == pytest.approx(expected, rel=1e-8, abs=1e-15)
    assert grad(f(x), x).item() == pytest.approx(expected, rel=1e-8, abs=1e-15)


@pytest.mark.parametrize("times", [20, 100])
def test_doublings(times):
    """Each value is visited once: a walk along every path would take 2 ** 20 steps, and never end at 2 ** 100."""
    x = leaf(1)
    y = x
    for _ in range(times):
        y = y + y
    y.backward()
    assert x.grad == 2**times  # 1048576 for 20


def test_a_long_chain():
    """100,000 additions: forward, backward, and freed, none of them by recursion."""
    x = leaf(1)
    y = x
    for _ in range(100_000):
        y = y + x
    y.backward()
    assert y.item() == x.grad == 100_001
    gone = weakref.ref(y)
    del y
    assert gone() is None


def test_a_leaf_is_its_own_gradient():
    x = leaf(3)
    x.backward()
    assert x.grad == 1
    (x + 0).backward(5)
    assert x.grad == 6


def test_a_second_backward_adds_the_same_again():
    x, w = leaf([1, 2]), leaf([3, 4])
    loss = (x * w).exp().log().sum()
    loss.backward()
    first = x.grad.copy(), w.grad.copy()
    close(first[0], [3, 4])
    loss.backward()
    close(x.grad, 2 * first[0])
    close(w.grad, 2 * first[1])


def test_two_losses_add_up():
    x = leaf([1, 2])
    shared = x * x
    (shared * 10).sum().backward()
    (shared * np.array([1.0, 2.0])).sum().backward()
    close(x.grad, [22, 48])


# The gradients' memory


@pytest.mark.parametrize(
    "f",
    [
        lambda x, y: x + y,
        lambda x, y: x - y,
        lambda x, y: (x + y).T + 0,
        lambda x, y: np.concatenate([x, y]),
        lambda x, y: (x + y).mean(),
        lambda x, y: (x + y).sum(axis=0),
        lambda x, y: x.reshape(4) + y.reshape(4),
    ],
)
def test_gradients_own_their_memory(f):
    x, y = leaf([[1, 2], [3, 4]]), leaf([[5, 6], [7, 8]])
    out = f(x, y)
    seed = np.arange(1.0, out.size + 1).reshape(out.shape)
    out.backward(seed)
    untouched = y.grad.copy()
    for t in (x, y):
        assert type(t.grad) is np.ndarray and t.grad.flags.owndata and t.grad.flags.writeable
        assert not np.shares_memory(t.grad, t.data) and not np.shares_memory(t.grad, seed)
    x.grad += 1
    np.testing.assert_array_equal(y.grad, untouched)


def test_gradients_of_numbers_own_their_memory():
    x, y = leaf(1), leaf(2)
    (x + y).backward()
    x.grad += 1
    assert (x.grad, y.grad) == (2, 1)


def test_nothing_is_left_on_intermediates():
    x = leaf([1, 2])
    y = x * 2
    z = y.exp()
    loss = z.sum()
    loss.backward()
    grad(loss, [y, z])
    assert x.grad is not None
    for t in (y, z, loss):
        with pytest.raises(
            AttributeError,
            match=r"only leaves keep their gradient in \.grad; .* grad\(loss, result\)",
        ):
            t.grad  # noqa: B018
        assert not hasattr(t, "grad")


def test_reference_counting_alone_frees_the_graph():
    gc.collect()
    gc.disable()
    try:
        x, w = leaf([[1, 2]]), leaf([[1, 2], [3, 4]])
        hidden = relu(x @ w)
        loss = softmax_cross_entropy(hidden, [1]).mean()
        loss.backward()
        first = grad(loss, w)
        second = grad((first * first).sum(), w)
        refs = [weakref.ref(t) for t in (hidden, loss, first, second)]
        assert all(ref() is not None for ref in refs)
        del hidden, loss, first, second
        assert [ref() for ref in refs] == [None] * 4
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))]
)
def test_a_copy_is_a_leaf_of_its_own(duplicate):
    """A copy with the age of its original would be taken for it, and get or give away the other's gradient."""
    w = leaf([1, 2])
    w2 = duplicate(w)
    for f in (lambda: w * 2 + w2 * 5, lambda: w2 * 5 + w * 2):
        first, second = grad(f().sum(), [w, w2])
        close(first.data, [2, 2])
        close(second.data, [5, 5])
    (w * 2 + w2 * 5).sum().backward()
    close(w.grad, [2, 2])
    close(w2.grad, [5, 5])
    w2.data -= 1
    close(w.data, [1, 2])


# Un-broadcasting


def test_a_bias():
    x, b = leaf(np.zeros((3, 2))), leaf([1, 2])
    (x + b).sum().backward()
    close(b.grad, [3, 3])
    close(x.grad, np.ones((3, 2)))


def test_a_column_and_a_row():
    column, row = leaf([[1], [2]]), leaf([[3, 4, 5]])
    (column * row).sum().backward()
    close(column.grad, [[12], [12]])
    close(row.grad, [[3, 3, 3]])


def test_a_row_against_a_matrix():
    w, b = leaf(np.arange(1.0, 10).reshape(3, 3)), leaf([1, 2, 3])
    (w * b).sum().backward()
    close(b.grad, [12, 15, 18])
    close(w.grad, [[1, 2, 3]] * 3)


@pytest.mark.parametrize("other", [2.0, [1.0, 2.0], [[1.0, 2.0], [3.0, 4.0]]])
@pytest.mark.parametrize("flip", [False, True])
def test_a_number_gets_a_number(other, flip):
    s, other = leaf(5), Tensor(other)
    y = other * s if flip else s * other
    g = np.random.default_rng(3).normal(size=y.shape)
    y.backward(g)
    assert type(s.grad) is np.ndarray
    close(s.grad, np.vdot(g, other.data), rtol=1e-14)


@pytest.mark.parametrize(
    "small, big",
    [((1,), (4,)), ((3, 1), (2, 3, 4)), ((1, 3, 1), (2, 3, 4)), ((), (2, 3)), ((1, 1), ())],
)
def test_axes_are_summed_where_they_were_copied(small, big):
    rng = np.random.default_rng(4)
    a, b = leaf(rng.normal(size=small)), leaf(rng.normal(size=big))
    y = a + b
    g = rng.normal(size=y.shape)
    y.backward(g)
    for t in (a, b):
        copies = np.broadcast_to(
            np.arange(t.size).reshape(t.shape), y.shape
        )  # which element each copy came from
        expected = np.bincount(copies.ravel(), g.ravel(), t.size).reshape(t.shape)
        close(t.grad, expected, rtol=1e-12)


def test_small_gradients_meet_full_ones():
    """The mean hands on one number for all; where its input is used elsewhere as well, the two must add up."""
    x = leaf([[1, 2], [3, 4]])
    y = x * 2
    weighted = (y * np.array([[1.0, 10.0], [100.0, 1000.0]])).sum()
    (y.mean() + weighted + y.mean(axis=1).sum() + y.sum(axis=0)[1]).backward()
    close(x.grad, [[0.5 + 2 + 1, 0.5 + 20 + 1 + 2], [0.5 + 200 + 1, 0.5 + 2000 + 1 + 2]])


# backward()'s arguments


def test_more_than_one_number_needs_a_gradient():
    y = leaf([1, 2]) * 2
    with pytest.raises(
        ValueError, match=r"\(2,\) float64.*mean\(\) or sum\(\).*backward\(gradient\)"
    ):
        y.backward()
    with pytest.raises(ValueError, match=r"mean\(\) or sum\(\)"):
        grad(y, y.inputs[0])


@pytest.mark.parametrize("gradient", [1.0, [1.0], [[1.0, 2.0]], [1.0, 2.0, 3.0]])
def test_a_gradient_of_the_wrong_shape(gradient):
    x = leaf([1, 2])
    with pytest.raises(ValueError, match=r"\(2,\) float64"):
        (x * 2).backward(gradient)
    assert x.grad is None


@pytest.mark.parametrize(
    "gradient", [[3, 4], (3.0, 4.0), np.array([3, 4], np.float32), Tensor([3.0, 4.0])]
)
def test_gradients_in_many_forms(gradient):
    x = leaf([1, 2])
    (x * 2).backward(gradient)
    close(x.grad, [6, 8])
    assert type(x.grad) is np.ndarray and x.grad.dtype == np.float64


@pytest.mark.parametrize("gradient", ["ab", [1j, 2], [None, None]])
def test_gradients_that_are_no_numbers(gradient):
    with pytest.raises(TypeError, match="real numbers"):
        (leaf([1, 2]) * 2).backward(gradient)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_a_single_number_needs_none(shape):
    x = leaf(np.full(shape, 3.0))
    (x * x).backward()
    close(x.grad, np.full(shape, 6.0))


@pytest.mark.parametrize(
    "y", [Tensor(1.0), Tensor(1.0) * 2, Tensor(1.0, name="x") * 2, leaf(1) > 0]
)
def test_where_nothing_requires_a_gradient(y):
    with pytest.raises(RuntimeError, match="requires_grad=True"):
        y.backward()


def test_a_missing_vjp_is_named():
    c = leaf([1, 0], name="mask")
    with pytest.raises(RuntimeError, match=r"where has no vjp for mask.*detach"):
        np.where(c, 1.0, 2.0).sum().backward()


# grad()


def test_third_derivative():
    x = leaf([0.5, -1, 2])
    y = x.exp() * x**3
    x0, e = x.data, np.exp(x.data)
    first = grad(y.sum(), x)
    second = grad(first.sum(), x)
    third = grad(second.sum(), x)
    close(first.data, e * (x0**3 + 3 * x0**2), rtol=1e-12)
    close(second.data, e * (x0**3 + 6 * x0**2 + 6 * x0), rtol=1e-12)
    close(third.data, e * (x0**3 + 9 * x0**2 + 18 * x0 + 6), rtol=1e-12)
    assert x.grad is None


def test_mixed_second_derivative():
    x, y = leaf(2), leaf(3)
    gx = grad(x * x * y * y * y, x)  # 2 x y^3
    assert gx.item() == 108
    gx.backward()  # a gradient is a Tensor like any other
    assert (x.grad, y.grad) == (54, 108)


def test_gradients_of_intermediates():
    x = leaf([1, 2])
    y = x * 3
    z = y * y
    loss = (z * np.array([1.0, 10.0])).sum()
    gx, gy, gz, g = grad(loss, (x, y, z, loss))
    close(gz.data, [1, 10])
    close(gy.data, [6, 120])
    close(gx.data, [18, 360])
    assert g.item() == 1


def test_one_or_many():
    x = leaf(2)
    assert isinstance(grad(x * x, x), Tensor)
    assert isinstance(grad(x * x, [x]), list)
    assert [g.item() for g in grad(x * x, [x, x])] == [4, 4]


@pytest.mark.parametrize(
    "f, gx, gu",
    [
        (lambda x, u: u * 2, 0, [2, 2]),
        (lambda x, u: x * 2, 2, [0, 0]),
        (lambda x, u: Tensor(1.0), 0, [0, 0]),
    ],
)
def test_zeros_where_independent(f, gx, gu):
    x, u = leaf(1), leaf([1, 2], dtype=np.float32)
    found_x, found_u = grad(f(x, u).sum(), [x, u])
    close(found_x.data, gx)
    close(found_u.data, gu)
    assert found_u.dtype == np.float32


def test_grad_refuses_what_requires_none():
    x, c = leaf(1), Tensor(2.0, name="c")
    with pytest.raises(ValueError, match="c: .*requires_grad=True"):
        grad(x * c, [x, c])


def test_grad_leaves_grad_alone():
    x = leaf([1, 2])
    before = x.grad = np.array([7.0, 7.0])
    gx = grad((x * x).sum(), x)
    close(gx.data, [2, 4])
    assert x.grad is before
    close(x.grad, [7, 7])


def test_grad_with_a_gradient_that_is_differentiated_too():
    """The gradient of (v . J) with respect to v: x -> x^2 has J = 2x on the diagonal."""
    x, v = leaf([1, 2]), leaf([5, 7])
    gx = grad(x * x, x, v)
    close(gx.data, [10, 28])
    gv = grad((gx * np.array([1.0, 10.0])).sum(), v)
    close(gv.data, [2, 40])


def test_grad_notices_changed_data():
    w = leaf([1, 2], name="weight")
    loss = (w * w).sum()
    w.data -= 1
    with pytest.raises(RuntimeError, match="weight.*changed.*multiply"):
        grad(loss, w)


def test_gradients_of_a_penalty():
    """Gradient penalty: d/dw |d(w x^2)/dx|^2 = d/dw (2 w x)^2 = 8 w x^2."""
    x, w = leaf(3), leaf(2)
    penalty = grad(w * x * x, x) ** 2
    penalty.backward()
    assert w.grad == 8 * 2 * 9
    assert x.grad == 8 * 4 * 3


# no_grad


def test_no_grad():
    x = leaf(2)
    with no_grad():
        y = x * 2
        with no_grad():
            pass
        assert not (x * 2).requires_grad  # the inner end did not end the outer one
    assert y.op is None and not y.requires_grad
    assert (x * 2).requires_grad


def test_no_grad_ends_with_an_exception():
    x = leaf(2)
    with pytest.raises(ZeroDivisionError), no_grad():
        raise ZeroDivisionError
    assert (x * 2).requires_grad


def test_an_op_that_fails_leaves_recording_on():
    x = leaf([1, 2])
    with pytest.raises(ValueError):
        x + Tensor([1.0, 2.0, 3.0])
    assert (x * 2).requires_grad


def test_no_grad_is_per_thread():
    x, inside, seen = leaf(2), threading.Event(), {}
    done = threading.Event()

    def off():
        with no_grad():
            inside.set()
            done.wait(10)
            seen["off"] = (x * 2).requires_grad

    thread = threading.Thread(target=off)
    thread.start()
    assert inside.wait(10)
    seen["here"] = (x * 2).requires_grad
    done.set()
    thread.join()
    assert seen == {"off": False, "here": True}


def test_a_gradient_inside_no_grad():
    x = leaf(3)
    loss = x * x
    with no_grad():
        loss.backward()
        assert not grad(loss, x).requires_grad
    assert x.grad == 6


def test_a_0d_array_that_stands_for_all_rows_reaches_a_rowwise_rule():
    logits = Tensor([[1.0, 2.0], [0.5, 0.0]], requires_grad=True)
    softmax_cross_entropy(logits, [0, 1]).sum().backward(np.array(3.0))
    p = np.exp(logits.data) / np.exp(logits.data).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(logits.grad, 3 * (p - np.eye(2)), rtol=1e-14)


# What was not recorded, and slopes of zero


def test_generators_that_take_turns_leave_recording_on():
    def quiet():
        with no_grad():
            yield
            yield

    first, second = quiet(), quiet()
    next(first), next(second), next(first), next(second)
    for generator in (first, second):  # the first leaves before the second, which came after it
        assert next(generator, None) is None
    x = leaf(3.0)
    assert grad(x**2, x).item() == 6


def test_recording_is_off_as_long_as_one_of_them_is_inside():
    outer, inner = no_grad(), no_grad()
    outer.__enter__()
    inner.__enter__()
    outer.__exit__(None, None, None)
    assert not (leaf(1.0) * 2).requires_grad
    inner.__exit__(None, None, None)
    assert (leaf(1.0) * 2).requires_grad


def test_what_was_made_inside_no_grad_has_no_gradient_to_ask_for():
    x = leaf(3.0, name="x")
    with no_grad():
        y = x**2
    for ask in (lambda: grad(y, x), y.backward):
        with pytest.raises(
            RuntimeError, match=r"no gradient flows here, since it was computed inside no_grad\(\)"
        ):
            ask()
    assert y.grad is None  # a constant, and a leaf to what comes later
    assert grad(x * y, x).item() == 9


def test_an_input_without_a_part_in_the_result_has_gradient_zero():
    x, u = leaf([1.0, 2.0]), leaf([3.0, 4.0, 5.0])
    for y in (x.sum(), Tensor(2.0) * 3, x.detach().sum(), (x > 1).sum()):
        g = grad(y, u)
        assert g.data.tolist() == [0, 0, 0]


@pytest.mark.parametrize("f", [np.sign, np.floor, np.ceil, np.rint])
def test_functions_of_slope_zero_keep_their_history(f):
    x = leaf([-1.5, 0.3, 2.7])
    g = np.array([2.0, -3.0, 0.5])
    f(x).backward(g)
    assert x.grad.tolist() == [0, 0, 0] and f(x).requires_grad
    y = np.sum((f(x) + x) * x)  # d/dx = f(x) + 2 x
    np.testing.assert_allclose(grad(y, x).data, f(x.data) + 2 * x.data)
    np.testing.assert_allclose(grad(np.sum(grad(y, x) * g), x).data, 2 * g)
    x.grad = None
    f(x).sum().backward()
    assert x.grad.tolist() == [0, 0, 0]


def test_what_comes_from_inside_no_grad_has_no_gradient_either():
    x = leaf(3.0, name="x")
    with no_grad():
        y = x**2
    for z in (y * 2, np.mean(np.stack([y, y]))):
        with pytest.raises(RuntimeError, match=r"no gradient flows here"):
            grad(z, x)


def test_a_generator_that_another_thread_finishes_leaves_recording_on():
    def quiet():
        with no_grad():
            yield

    for finish in (lambda g: g.close(), lambda g: next(g, None)):
        generator = quiet()
        next(generator)
        assert not (leaf(1.0) * 2).requires_grad
        thread = threading.Thread(target=finish, args=(generator,))
        thread.start()
        thread.join()
        assert (leaf(1.0) * 2).requires_grad


def test_blocks_inside_a_long_one_leave_nothing_behind():
    with recording("off"):
        outer = RECORDING.get().requests[-1]
        for _ in range(50):
            with no_grad():
                pass
        assert len(outer.modes) <= 2


class Listener(Watcher):
    """Writes down what it is told, and doubles the gradient of one Tensor."""

    def __init__(self, doubled: Tensor | None = None):
        self.doubled, self.results, self.parts, self.wholes = doubled, [], [], []

    def result(self, y, op, inputs, params):
        self.results.append(op.name)

    def sent(self, y, x, g):
        self.parts.append((y.name, x.name, float(g)))

    def gradient(self, y, g):
        self.wholes.append((y.name, float(g)))
        return g * 2 if y is self.doubled else g


def test_the_engine_announces_each_result_each_part_and_each_whole_gradient():
    """Whole gradients are told of once, youngest first, for leaves as well; parts before they are added up."""
    x = Tensor(3.0, requires_grad=True, name="x")
    listener, second = Listener(), Listener()
    with recording(watcher=listener), recording(watcher=second):
        square = x * x
        y = square + x
        square.name, y.name = "square", "y"
        y.backward()
    assert listener.results == ["multiply", "add"]
    sent_by_y = [("y", "square", 1.0), ("y", "x", 1.0)]
    sent_by_square = [("square", "x", 3.0), ("square", "x", 3.0)]
    assert listener.parts == sent_by_y + sent_by_square
    assert listener.wholes == [("y", 1.0), ("square", 1.0), ("x", 7.0)]
    assert second.parts == listener.parts and second.wholes == listener.wholes


@pytest.mark.parametrize("graph", [False, True])
def test_a_watcher_may_replace_a_whole_gradient(graph):
    """What it returns is used in its place: what is sent on, and what a leaf keeps."""
    x = Tensor(3.0, requires_grad=True, name="x")
    square = x * x
    y = square + x
    for doubled, expected in ((square, 13.0), (x, 14.0)):
        x.grad = None
        with recording(watcher=Listener(doubled)):
            if graph:
                found = grad(y, x).item()
            else:
                y.backward()
                found = x.grad.item()
        assert found == expected


@pytest.mark.parametrize("shape", [(3,), (2,), (3, 1), (1, 3, 1)])
@pytest.mark.parametrize("inner", [False, True])
def test_what_a_vjp_returns_in_a_shape_that_does_not_fit_is_refused(shape, inner, registry):
    """Neither what has been broadcast from the (2, 1) of the input, nor what stands for its broadcast."""
    misfit = op("misfit", lambda x: x * 1, lambda g, y, x: np.ones(shape), samples=[])
    w = Tensor([[1.0], [2.0]], requires_grad=True)
    with pytest.raises(ValueError, match="the vjp of misfit.*it returned shape"):
        np.sum(misfit(np.exp(w) if inner else w)).backward()
    assert w.grad is None


@pytest.mark.parametrize("shape, each", [((2, 3), 3), ((1, 2, 2), 2), ((4, 2, 1), 4), ((1,), 1)])
def test_what_a_vjp_returns_in_a_larger_shape_is_summed(shape, each, registry):
    larger = op("larger", lambda x: x * 1, lambda g, y, x: np.ones(shape), samples=[])
    w = Tensor([[1.0], [2.0]], requires_grad=True)
    np.sum(larger(w)).backward()
    assert w.grad.tolist() == [[each], [each]]
