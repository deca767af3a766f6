"""Numbers that Python reads from Tensors: what would keep them for ever is refused, what merely prints them is not."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

import tinygrad_steel
from tinygrad_steel import (
    SGD,
    FrozenNumberWarning,
    Tensor,
    compile_backprop,
    compile_epoch,
    export_onnx,
    grad,
    no_grad,
    write_backprop,
)


def problem():
    """A parameter, class ids and a number, all of which have a part in the losses below."""
    w = Tensor([1.0, 10.0, 100.0], requires_grad=True, name="w")
    return w, Tensor([0, 1], name="x"), Tensor(2.0, name="t")


def picked_by_an_index():
    w, x, _ = problem()
    return [w[0], w[1], w[2]][x[0]] + w[x].sum()


def picked_by_argmax():
    w, x, _ = problem()
    return w[int(np.argmax(x))] + w[x].sum()


def branch_on_an_input():
    w, _, t = problem()
    return (w * t).sum() if t > 0 else w.sum() + t


def branch_on_a_hidden_value():
    w, _, t = problem()
    h = w * t
    return (h / 2 if np.max(h) > 3 else h).sum()


def branch_on_a_parameter():
    w, _, t = problem()
    return (w * t).sum() if np.allclose(w, [1, 10, 100]) else w.sum() + t


def loop_over_a_range():
    w, x, _ = problem()
    loss = w[x].sum()
    for _ in range(x[1]):
        loss = loss * 2
    return loss


def slice_to_an_index():
    w, x, _ = problem()
    return w[: x[1]].sum() + w[x].sum()


def factor_from_math():
    w, _, t = problem()
    return (w * math.exp(t)).sum() + t


def scale_by_a_float():
    w, _, t = problem()
    h = w * t
    return (h / float(np.max(h))).sum()


def order_as_a_list():
    w, x, t = problem()
    return (w[np.argsort(x * t).tolist()] * t).sum() + w[x].sum()


def count_in_a_list():
    w, x, t = problem()
    return (w * t).sum() / (x > 0).tolist().count(True) + w[x].sum()


def numbers_as_a_list():
    w, _, t = problem()
    return (w * sum((t * [1, 2]).tolist())).sum() + t


def bytes_of_what_a_mask_picks():
    w, x, _ = problem()
    return w[x].sum() / x[x > 0].nbytes


FROZEN = [
    order_as_a_list, count_in_a_list, numbers_as_a_list,
    picked_by_an_index, picked_by_argmax, branch_on_an_input, branch_on_a_hidden_value, loop_over_a_range,
    slice_to_an_index, factor_from_math, scale_by_a_float,
]  # fmt: skip


def refused_by_both(loss_of, read):
    for road in (lambda loss: compile_backprop(loss, backend="numpy"), write_backprop):
        with pytest.raises(
            TypeError,
            match=rf"was {read} .* at .*test_reads\.py:\d+: the .* would keep that number",
        ):
            road(loss_of())


@pytest.mark.parametrize("loss_of", FROZEN)
def test_what_would_keep_a_number_is_refused(loss_of):
    refused_by_both(loss_of, "read as")


def test_the_bytes_of_what_a_mask_picks_are_a_count():
    refused_by_both(bytes_of_what_a_mask_picks, "read for its number of elements,")


@pytest.mark.parametrize("text", [lambda i: f"{i:d}", lambda i: format(i, "02d"), "{:>3}".format])
def test_an_integer_as_text_is_warned_of(text):
    w, x, _ = problem()
    table = {int(text(k)): 10.0**k for k in range(2)}
    loss = w[x].sum() * table[int(text(np.argmax(x)))]
    with pytest.warns(
        FrozenNumberWarning, match=r"argmax, which depends on x, was read as text .* by item\(\)"
    ):
        compile_backprop(loss, backend="numpy")


def test_a_float_as_text_is_for_people():
    w, x, t = problem()
    assert f"{t:.1f} {np.max(t * 2):5.2f} {t:g}" == "2.0  4.00 2"
    compile_backprop((w[x] * t).sum(), backend="numpy")


@pytest.mark.parametrize(
    "loss_of",
    [
        lambda w, x, t: w[np.argmax(x) :].sum(),
        lambda w, x, t: (w[np.argsort(x).tolist()] * [1.0, 2.0]).sum(),
        lambda w, x, t: np.roll(w, int(x[1]))[0] * t,
        lambda w, x, t: w[: np.sum(x)].sum(),
    ],
)
def test_an_integer_of_an_input_that_has_no_other_part_is_warned_of(loss_of):
    w, x, t = problem()
    loss = loss_of(w, x, t)
    for road in (lambda: compile_backprop(loss, backend="numpy"), lambda: write_backprop(loss)):
        with pytest.warns(
            FrozenNumberWarning, match="which depends on x, was read as an integer .* by item"
        ):
            road()


def test_an_integer_of_an_old_input_is_no_matter():
    w, x, t = problem()
    assert int(x[1]) == 1
    x.data = np.array([1, 0])
    compile_backprop((w * t).sum(), backend="numpy")


def test_the_message_names_what_was_read():
    with pytest.raises(
        TypeError, match=r"getitem, which depends on x, was read as an integer .* by item\(\)"
    ):
        write_backprop(picked_by_an_index())
    with pytest.raises(TypeError, match=r"t: \(\) float64 was read as a plain number"):
        write_backprop(factor_from_math())


def test_a_folder_whose_name_begins_as_the_package_s_is_the_user_s():
    w, _, t = problem()
    file = f"{Path(tinygrad_steel.__file__).parent}_of_mine/model.py"
    run = {"w": w, "t": t}
    exec(compile("loss = w.sum() * t if t > 0 else w.sum()", file, "exec"), run)
    with pytest.raises(TypeError, match=rf"was read as a condition .* at {re.escape(file)}:1:"):
        write_backprop(run["loss"])


def test_a_read_of_a_batch_that_has_no_other_part_in_the_loss():
    w, x, _ = problem()
    data = Tensor([[1.0], [2.0]], name="data")
    loss = (w[int(x[0])] * data).sum()
    with pytest.raises(TypeError, match="depends on x, was read"):
        compile_epoch(loss, batch=(data, x), optimizer=SGD([w]), backend="numpy")


def test_an_exported_file_keeps_no_number_of_its_input(tmp_path):
    pytest.importorskip("onnx")
    x = Tensor([[1.0, -2.0]], name="x")
    y = x * 2 if np.max(x) > 0 else x
    with pytest.raises(TypeError, match="was read as a condition .* the file would keep"):
        export_onnx(y, tmp_path / "y.onnx", inputs=x)


@pytest.mark.parametrize(
    "look", [Tensor.item, float, bool, str, "{:.3f}".format, Tensor.numpy, lambda t: t > 1 or t]
)
def test_a_look_at_a_finished_loss_is_no_matter(look):
    w, x, t = problem()
    loss = (w[x] * t).sum()
    look(loss)
    loss.backward()
    look(loss)
    assert compile_backprop(loss, backend="numpy")(x.data, t.data) == loss.item() == 22
    assert "def backprop(x, t, w)" in write_backprop(loss)


def test_a_report_between_the_steps_of_a_training_is_no_matter():
    w, x, t = problem()
    optimizer, best = SGD([w], 0.01), None
    for _ in range(3):
        loss = (w[x] * t).sum()
        optimizer.zero_grad()
        loss.backward()
        print(float(loss))
        best = loss if best is None or loss < best else best
        optimizer.step()
        print(float(loss))
        if loss < -1e9:
            break
    loss = (w[x] * t).sum()
    compile_backprop(loss, backend="numpy")
    write_backprop(loss)


def test_new_data_is_not_what_was_read():
    w, _, t = problem()
    assert t > 0
    t.data = np.array(-1.0)
    compile_backprop((w * t).sum(), backend="numpy")


def test_numbers_asked_for_and_constants_are_constants():
    w, _, t = problem()
    scale = Tensor(3.0)
    loss = (w * t * t.item() * float(scale) * int(Tensor(2))).sum()
    assert (
        compile_backprop(loss, backend="numpy")(5.0) == 111 * 5 * 2 * 3 * 2
    )  # as documented: item() is a constant


def test_reading_costs_no_history():
    w, _, _ = problem()
    with no_grad():
        assert float(np.sum(w)) == 111
    loss = branch_on_a_hidden_value()
    loss.backward()
    assert grad(loss, loss.inputs[0]).shape == (3,)


def norm_of_a_parameter():
    w, _, t = problem()
    return (w * t).sum() / math.sqrt(np.sum(w * w))


def scale_of_a_product_computed_anew():
    w, _, t = problem()
    return (w * t).sum() / float(np.max(np.abs(w * t)))


def length_of_what_a_mask_takes():
    w, x, t = problem()
    return (w[x] * t).sum() / len(x[x > 0])


def size_of_what_a_mask_takes():
    w, x, t = problem()
    return (w[x] * t).sum() / x[x > 0].size


def shape_of_what_a_mask_takes():
    w, x, t = problem()
    return (w[x] * t).sum() / x[x > 0].shape[0]


def loop_over_what_a_mask_takes():
    w, x, t = problem()
    return (w[x] * t).sum() / sum(1 for _ in x[x > 0])


def numpys_size_of_what_a_mask_takes():
    w, x, t = problem()
    return (w[x] * t).sum() / np.size(x[x > 0]) / np.shape(x[x > 0])[0]


def number_of_places():
    w, x, t = problem()
    return (w[x] * t).sum() / len(np.nonzero(x > 0)[0])


def number_of_rows_of_places():
    w, x, t = problem()
    return (w[x] * t).sum() / np.argwhere(x > 0).shape[0]


def length_of_what_places_take():
    w, x, t = problem()
    return (w[x] * t).sum() / len(x[np.flatnonzero(x > 0)])


@pytest.mark.parametrize(
    "loss_of",
    [
        number_of_places,
        number_of_rows_of_places,
        length_of_what_places_take,
        length_of_what_a_mask_takes,
        size_of_what_a_mask_takes,
        shape_of_what_a_mask_takes,
        loop_over_what_a_mask_takes,
        numpys_size_of_what_a_mask_takes,
    ],
)
def test_a_count_that_a_mask_decides_on_is_refused(loss_of):
    refused_by_both(loss_of, "read for its number of elements,")


def test_a_count_beside_the_elements_themselves_is_no_matter():
    w, _, t = problem()
    taken = (w * t)[Tensor([True, False, True], name="mask")]
    loss = taken.sum() / taken.size
    compile_backprop(loss, backend="numpy")
    assert "t1 is {t1.shape}, and was (2,) when written" in write_backprop(loss)


def test_a_count_that_is_computed_anew_is_no_matter():
    w, x, t = problem()
    loss = (w[x] * t).sum() / np.count_nonzero(x > 0)
    compile_backprop(loss, backend="numpy")
    assert "np.count_nonzero(x > 0)" in write_backprop(loss)


def test_places_are_computed_anew_and_their_number_is_checked():
    w, x, t = (Tensor(z, requires_grad=k == 0, name="wxt"[k]) for k, z in enumerate(np.eye(3)))
    loss = np.mean((w * t)[np.nonzero(x > 0)])
    source = write_backprop(loss)
    assert "t1 is {t1.shape}, and was (1,) when written" in source
    backprop = source.function()
    assert backprop(x=np.array([0.0, 0.0, 1.0]), t=np.ones(3), w=np.array([1.0, 2.0, 5.0]))[0] == 5
    with pytest.raises(ValueError, match=r"t1 is \(2,\), and was \(1,\) when written"):
        backprop(x=np.ones(3) - np.eye(3)[0], t=np.ones(3), w=np.ones(3))
    step = compile_backprop(loss, backend="numpy")
    assert step(x=np.array([1.0, 0.0, 0.0]), t=np.array([7.0, 0.0, 0.0])) == 7
    with pytest.raises(ValueError, match="a shape that depends on the data"):
        step(x=np.ones(3), t=np.ones(3))


def branch_on_an_input_of_a_reported_loss():
    w, _, t = problem()
    float((w * t).sum())
    return w.sum() * (2 if t > 0 else 3) + t


def test_a_read_of_inputs_alone_counts_before_one_that_is_warned_of():
    refused_by_both(branch_on_an_input_of_a_reported_loss, "read as a condition")


def loss_over_itself():
    w, _, t = problem()
    loss = (w * t).sum()
    return loss / float(loss)


def report_of_an_evaluation():
    w, _, t = problem()
    loss = (w * t).sum()
    loss.backward()
    assert float(loss) > 0
    return (w * t).mean()


def report_on_what_another_was_made_of():
    w, _, t = problem()
    u, h = Tensor(3.0, name="u"), w * t
    float(h.sum())
    float(h.sum() + u)
    return (w * u).sum()


MAYBE = [
    branch_on_a_parameter, norm_of_a_parameter, scale_of_a_product_computed_anew, loss_over_itself,
    report_of_an_evaluation, report_on_what_another_was_made_of,
]  # fmt: skip


@pytest.mark.parametrize("loss_of", MAYBE)
def test_a_number_that_may_be_a_report_is_warned_of(loss_of):
    for road in (lambda loss: compile_backprop(loss, backend="numpy"), write_backprop):
        with pytest.warns(
            FrozenNumberWarning,
            match=r"was read .* at .*test_reads\.py:\d+: if .* Ask for it by item",
        ):
            road(loss_of())


def test_an_input_without_a_name_leaves_no_history():
    w, x = Tensor([1.0, 1.0], requires_grad=True, name="w"), Tensor([1.0, 2.0])
    factor = 2.0 if np.max(x) > 0 else 1.0
    loss = np.sum(x * w) * factor
    for road in (
        lambda: compile_backprop(loss, {"x": x}, backend="numpy"),
        lambda: write_backprop(loss, {"x": x}),
    ):
        with pytest.warns(
            FrozenNumberWarning, match=r"a Tensor without history: if it came from \(2,\) .*name="
        ):
            road()


def test_losses_of_steps_before_are_no_matter():
    for order in ("before", "between", "after"):
        w, x, t = problem()
        optimizer, best = SGD([w], 0.01), 1e9
        for _ in range(2):
            loss = (w[x] * t).sum()
            best = min(best, float(loss)) if order == "before" else best
            optimizer.zero_grad()
            loss.backward()
            best = loss if order == "between" and loss < best else best
            optimizer.step()
            best = loss if order == "after" and loss < best else best
        loss = (w[x] * t).mean()
        compile_backprop(loss, backend="numpy")
        write_backprop(loss)


def test_lengths_that_no_mask_decides_on_are_no_reads():
    w, x, t = problem()
    loss = (w[x] * t).sum() / len(x) / w[1:].size / w[x].shape[0]
    compile_backprop(loss, backend="numpy")


def test_reading_at_each_turn_walks_each_result_once(monkeypatch):
    walked, x = 0, Tensor(1.0, requires_grad=True, name="x")

    def count(self):
        nonlocal walked
        walked += 1
        return inputs(self)

    inputs = Tensor._inputs.__get__
    monkeypatch.setattr(Tensor, "_inputs", property(count, Tensor._inputs.__set__))
    y = x
    for _ in range(300):
        y = y * 0.999
        if y < 0:
            break
    assert 300 < walked < 5 * 300


@pytest.mark.parametrize("look", [float, lambda loss: loss < 1e9])
def test_the_first_look_after_a_step_is_of_an_old_loss(look):
    w, x, t = problem()
    loss = (w[x] * t).sum()
    loss.backward()
    SGD([w], 0.01).step()
    look(loss)
    compile_backprop((w[x] * t).sum(), backend="numpy")  # a warning would be an error here
