"""What keeps the time small in which a program is compiled: few loops, few passes, nothing twice, nothing kept."""

import gc
import importlib.util
import itertools
import resource
import sys
import weakref

import numpy as np
import pytest

from tinygrad_steel import (
    SGD,
    Adam,
    Tensor,
    compile_backprop,
    compile_epoch,
    relu,
    softmax_cross_entropy,
)
from tinygrad_steel.compiled.cache import LOADED
from tinygrad_steel.compiled.side_by_side import joined

needs_numba = pytest.mark.skipif(not importlib.util.find_spec("numba"), reason="needs numba")


def network(widths=(5, 7, 6, 3), rows=4, kind=Adam, rate=0.01):
    """Data, a small network's loss and its optimizer; the same numbers each time."""
    rng = np.random.default_rng(3)
    x = Tensor(rng.normal(size=(rows, widths[0])), name="x")
    y = Tensor(np.eye(widths[-1])[rng.integers(0, widths[-1], rows)], name="y")
    parameters = []
    for inputs, outputs in itertools.pairwise(widths):
        weight, bias = rng.normal(0, inputs**-0.5, (inputs, outputs)), rng.normal(size=outputs)
        parameters += [Tensor(weight, requires_grad=True), Tensor(bias, requires_grad=True)]
    return x, y, parameters, loss_of(x, y, parameters), kind(parameters, rate)


def loss_of(x, y, parameters):
    h = x
    for weight, bias in zip(parameters[::2], parameters[1::2]):
        h = (h if h is x else relu(h)) @ weight + bias
    return softmax_cross_entropy(h, y).mean()


def resident_bytes():
    """The memory of this process."""
    with open("/proc/self/statm", encoding="utf-8") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


@needs_numba
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_same_step_compiled_200_times_costs_nothing_more(monkeypatch, tmp_path):
    monkeypatch.setenv("TINYGRAD_STEEL_CACHE", str(tmp_path))
    kept = []

    def compile_it():
        x, y, _, loss, optimizer = network()
        step = compile_backprop(loss, optimizer=optimizer, backend="numba")
        step(x.data, y.data)
        kept.append(weakref.ref(step))
        return step.compile_seconds

    seconds = [compile_it() for _ in range(20)]
    gc.collect()
    before, modules, loaded = resident_bytes(), {*sys.modules}, {*LOADED}
    seconds += [compile_it() for _ in range(200)]
    gc.collect()
    assert (
        resident_bytes() - before < 4 * 2**20
    )  # a single copy of its machine code takes half a megabyte
    assert {*sys.modules} == modules
    assert {*LOADED} <= loaded
    assert not any(step() for step in kept)
    assert np.median(seconds[-50:]) < seconds[0] / 20  # found again, not compiled
    assert np.median(seconds[-50:]) < 3 * np.median(seconds[20:70]) + 1e-3


@pytest.mark.parametrize("back_end", ["uncompiled", pytest.param("compiled", marks=needs_numba)])
@pytest.mark.parametrize("kind", [SGD, Adam])
def test_an_optimizer_is_one_loop(kind, back_end, request):
    """Over all parameters, whatever their shapes: and they move as in eager mode."""
    if back_end == "uncompiled":
        request.getfixturevalue("uncompiled")
    x, y, parameters, loss, optimizer = network(kind=kind)
    step = compile_backprop(loss, optimizer=optimizer, backend="numba")
    *_, last_loop = step.source.split("for k in range(")
    size = sum(
        -(-p.data.size // 8) * 8 for p in parameters
    )  # each up to the end of a line of memory
    assert last_loop.startswith(f"{size}):") and step.source.count(last_loop.splitlines()[1]) == 1
    _, _, others, _, other = network(kind=kind)
    for _ in range(3):
        step(x.data, y.data)
        other.zero_grad()
        loss_of(x, y, others).backward()
        other.step()
    for ours, theirs in zip(parameters, others):
        np.testing.assert_allclose(ours.data, theirs.data, rtol=1e-12, atol=1e-14)


def update(place, length, rate="m[@5]", step="m[@{0} + k] = m[@{0} + k] - n5 * m[@{1} + k]"):
    """A nest that moves an array, which begins at `place`, by one 1000 further on."""
    return [f"n5 = {rate}", f"for k in range({length}):", "    " + step.format(place, place + 1000)]


def test_loops_are_joined_where_each_array_goes_on():
    assert joined([update(8, 16), update(24, 8), update(32, 40)]) == [update(8, 64)]


@pytest.mark.parametrize(
    "first, second",
    [
        (update(8, 16), update(32, 8)),  # a gap
        (update(8, 16), update(24, 8, rate="m[@6]")),  # another number
        (update(8, 16), update(24, 8, step="m[@{0} + k] = m[@{0} + k] + n5 * m[@{1} + k]")),
        (update(0, 8), update(8, 8)),  # the first renews the number that the second reads
        (update(8, 16), ["n5 = m[@5]", "for j in range(8):", "    m[@24 + j] = 0.0"]),
    ],
)
def test_others_are_left_alone(first, second):
    assert joined([first, second]) == [first, second]


@pytest.mark.parametrize("back_end", ["uncompiled", pytest.param("compiled", marks=needs_numba)])
def test_windows_that_overlap_are_added_up_in_one_nest(back_end, request):
    """Each pixel's gradient is a sum over the windows around it; finite differences are the oracle."""
    if back_end == "uncompiled":
        request.getfixturevalue("uncompiled")
    rng = np.random.default_rng(2)
    weights = rng.normal(size=(2, 3, 2, 3, 2))
    x = Tensor(rng.normal(size=(2, 5, 3)), requires_grad=True, name="x")

    def loss_of_windows(x):
        windows = np.lib.stride_tricks.sliding_window_view(x, (3, 2), (1, 2))
        return np.sum(np.square(windows) * weights.reshape(2, 3, 2, 3, 2))

    step = compile_backprop(loss_of_windows(x), backend="numba")
    step()
    assert step.source.count("for i0 in range(2):") and step.source.count(" += ") == 6
    expected = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        moved = [x.data.copy(), x.data.copy()]
        moved[0][index] += 1e-6
        moved[1][index] -= 1e-6
        up, down = (loss_of_windows(Tensor(a)).data for a in moved)
        expected[index] = (up - down) / 2e-6
    np.testing.assert_allclose(x.grad, expected, rtol=1e-6, atol=1e-8)


def run(nests, m):
    """The numbers of m after these nests."""
    text = "\n".join(line.replace("@", "") for nest in nests for line in nest)
    exec(text, {"m": m})
    return m


def test_joined_loops_take_the_same_turns():
    """A loop that goes on in what the one before has written: a number wanders along."""
    nests = [
        [f"for k in range({n}):", f"    m[@{at + 4} + k] = m[@{at} + k] + 1.0"]
        for at, n in ((0, 4), (4, 8))
    ]
    assert len(joined(nests)) == 1
    start = np.random.default_rng(0).normal(size=16)
    np.testing.assert_array_equal(run(joined(nests), start.copy()), run(nests, start.copy()))


@needs_numba
def test_loops_are_written_once_and_only_for_us():
    """While a program is compiled, LLVM unrolls nothing; others' functions are compiled as ever."""
    from numba.core import codegen

    from tinygrad_steel.compiled.pipeline import loops_once

    ours = codegen.create_pass_builder
    with loops_once():
        assert codegen.create_pass_builder is not ours
    assert codegen.create_pass_builder is ours
    with pytest.raises(KeyError), loops_once():
        raise KeyError
    assert codegen.create_pass_builder is ours


@needs_numba
@pytest.mark.parametrize("shape", [(12,), (12, 3), (12, 3, 1, 2), (12, 1)])
def test_rows_are_gathered_whatever_their_axes(shape):
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=shape), rng.normal(size=shape[1:])
    batch, parameter = Tensor(x[:4], name="x"), Tensor(w, requires_grad=True)
    loss = np.mean(np.square(batch - parameter))
    epoch = compile_epoch(loss, (batch,), optimizer=SGD([parameter], 0.1), backend="numba")
    epoch(x, order=np.arange(12)[::-1])
    for rows in np.split(x[::-1], 3):
        w = w - 0.1 * np.sum(2 * (w - rows) / rows.size, axis=0)
    np.testing.assert_allclose(parameter.data, w, rtol=1e-12)
