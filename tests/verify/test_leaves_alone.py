"""The parameters' gradients alone: what a loop gets wrong, what is never blamed, and the interval."""

from __future__ import annotations

import re

import numpy as np
import pytest
from helpers import FULL
from verify.mistakes.classifiers import COLUMNS, ROWS
from verify.mistakes.collection import MISTAKES
from verify.mistakes.form import Mistake
from verify.mistakes.layers import DEEP, SIGMOIDS, SQUARE
from verify.mistakes.measure import LEAVES, answer, differs_at_the_leaves
from verify.mistakes.not_yet import NOT_YET
from verify.mistakes.positions import POSITIONED
from verify.mistakes.sequences import LSTM, RNN

from tinygrad_steel import Tensor, compare_backprop

# A recurrent network, and its backward as a loop that people write


class Recurrent:
    """`h = tanh(x @ Wx + h @ Wh + b)`, with an error at every step."""

    def __init__(self, steps: int, seed: int = 0):
        rng = np.random.default_rng(seed)
        self.xs, self.ys = rng.normal(size=(steps, 6, 3)), rng.normal(size=(steps, 6, 5))
        shapes = {"Wx": (3, 4), "Wh": (4, 4), "Wy": (4, 5), "b": (4,)}
        self.weights = {name: rng.normal(0, 0.5, shape) for name, shape in shapes.items()}

    def graph(self):
        """The loss, and its Tensors by name."""
        names = {k: Tensor(w, requires_grad=True) for k, w in self.weights.items()}
        h, loss = Tensor(np.zeros((6, 4))), 0.0
        for t, (x, y) in enumerate(zip(self.xs, self.ys)):
            z = Tensor(x) @ names["Wx"] + h @ names["Wh"] + names["b"]
            h = np.tanh(z)
            error = h @ names["Wy"] - y
            names |= {f"z{t}": z, f"h{t}": h}
            loss = loss + np.mean(np.square(error))
        return loss, names

    def backward(
        self, slope=lambda g, z, h: g * (1 - h * h), sent=lambda g, Wh: g @ Wh.T, keep=None
    ):
        """The gradients of the weights, with what a step gets wrong; `keep`: nothing is sent back
        from one window of so many steps to the one before.
        """
        Wx, Wh, Wy, b = self.weights.values()
        hs, zs = [np.zeros((6, 4))], []
        for x in self.xs:
            zs.append(x @ Wx + hs[-1] @ Wh + b)
            hs.append(np.tanh(zs[-1]))
        found = {f"G_{k}": np.zeros_like(w) for k, w in self.weights.items()}
        from_next = np.zeros((6, 4))
        for t in range(len(self.xs))[::-1]:
            error = 2 * (hs[t + 1] @ Wy - self.ys[t]) / 30
            found["G_Wy"] += hs[t + 1].T @ error
            gz = slope(error @ Wy.T + from_next, zs[t], hs[t + 1])
            found["G_Wx"] += self.xs[t].T @ gz
            found["G_Wh"] += hs[t].T @ gz
            found["G_b"] += gz.sum(axis=0)
            from_next = sent(gz, Wh) * (keep is None or t % keep != 0)
        return found


def wrong_steps(report):
    return [(step.name, step.reason) for step in report.steps if step.verdict == "wrong"]


SLIPS = [
    ({"slope": lambda g, z, h: g}, "handed on unchanged: the factor tanh'", "missing-derivative"),
    (
        {"slope": lambda g, z, h: g * (1 + h * h)},
        "the sign of h{0} * h{0} is wrong",
        "term-of-deriv",
    ),
    (
        {"slope": lambda g, z, h: g * (1 - h)},
        "the factor h{0} is missing in h{0} * h{0}",
        "missing-f",
    ),
    ({"slope": lambda g, z, h: 1 - h * h}, "it is not multiplied with G_h{0}", "derivative-alone"),
    ({"slope": lambda g, z, h: g * (1 - z * z)}, "z{0} in place of h{0}", "other-value"),
    ({"slope": lambda g, z, h: g / (1 - h * h)}, "divided by", "divided-not"),
    ({"sent": lambda g, Wh: 0 * g}, "that comes through h{1} @ Wh is missing", "missing-term"),
    ({"sent": lambda g, Wh: g @ Wh}, "G_z{0} @ Wh instead of G_z{0} @ Wh.T", "transposed"),
    ({"sent": lambda g, Wh: -g @ Wh.T}, "through h{1} @ Wh: the sign is wrong", "sign"),
    (
        {"sent": lambda g, Wh: g @ Wh.T / 2},
        "through h{1} @ Wh: 2 times too small",
        "missing-factor",
    ),
]


@pytest.mark.parametrize("steps", [2, 3, 6, *([25] if FULL else [])])
@pytest.mark.parametrize("slip, says, code", SLIPS, ids=[says for _, says, _ in SLIPS])
def test_a_slip_in_the_line_of_a_loop_is_said_once_and_of_every_step(steps, slip, says, code):
    network = Recurrent(steps)
    loss, names = network.graph()
    assert compare_backprop(loss, names, **network.backward()).ok
    report = compare_backprop(loss, names, **network.backward(**slip))
    ((_, reason),) = wrong_steps(report)
    if steps > 2 or "slope" in slip:  # of two steps, one alone sends back
        assert ", at every step" in reason
    assert says.format(steps - 1, steps - 2) in reason
    assert report.first_wrong.faults[0].startswith(code)


def test_windows_between_which_nothing_is_sent_back():
    network = Recurrent(6)
    loss, names = network.graph()
    report = compare_backprop(loss, names, **network.backward(keep=3))
    ((_, reason),) = wrong_steps(report)
    assert reason == "from a fault at G_h2: the gradient that comes through h2 @ Wh is missing"


def test_a_slip_in_a_loop_beside_another_fault():
    network = Recurrent(4)
    loss, names = network.graph()
    wrong = network.backward(slope=lambda g, z, h: g)
    wrong["G_b"] = -wrong["G_b"]
    (first, _), (second, reason) = wrong_steps(compare_backprop(loss, names, **wrong))
    assert {first, second} >= {"G_b"} and "the sign is wrong" in reason


EXACT = [m for m in MISTAKES if m.title not in NOT_YET[LEAVES] and differs_at_the_leaves(m)]
ONE_LINE = [m for m in EXACT if len(m.wrong) == 1 or m.model in (RNN, LSTM)]
# Parameters whose own sums go wrong: a line of code for each of them.
APART = {"the state's derivative by the weights is the last state alone": 2}


@pytest.mark.slow
@pytest.mark.parametrize("mistake", ONE_LINE[:: 1 if FULL else 3], ids=lambda m: m.title)
def test_a_mistake_is_said_once(mistake):
    assert answer(mistake, LEAVES).wrong == APART.get(mistake.title, 1)


def test_what_a_fault_in_several_gradients_makes_of_later_ones_follows():
    (mistake,) = (m for m in MISTAKES if m.title == "the state of the next step sends nothing back")
    assert answer(mistake, LEAVES).wrong == 1


# What is right is not blamed


def leaves_of(mistake, wrong):
    """The gradients of the parameters in a chain."""
    _, names = mistake.model.build()
    chain = mistake.model.chain(names, wrong)
    return {step: g for step, g in chain.items() if names[step[2:]].op is None}


def same(a, b):
    return a.shape == b.shape and np.allclose(a, b, rtol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize(
    "mistake", [*MISTAKES, *POSITIONED][:: 1 if FULL else 5], ids=lambda m: m.title
)
def test_a_step_from_which_a_right_gradient_comes_is_not_blamed(mistake):
    places = re.match(r"from a fault at ([^:]*): ", answer(mistake, LEAVES).reason)
    right, given = leaves_of(mistake, {}), leaves_of(mistake, mistake.wrong)
    rng = np.random.default_rng(0)
    for place in re.findall(r"\bG_\w+", places[1] if places else ""):
        if place not in mistake.model.steps or place in right:
            continue

        def noisy(n, place=place):
            g = mistake.model.steps[place](n)
            return g * (1 + 0.5 * rng.normal(size=g.shape))

        with_noise = leaves_of(mistake, {place: noisy})
        proofs = [step for step in right if same(given[step], right[step])]
        assert not [step for step in proofs if not same(with_noise[step], right[step])], place


# Where nothing explains it


HIDDEN = [
    (ROWS, "z1"),
    (COLUMNS, "Z1"),
    (SIGMOIDS, "z1"),
    (DEEP, "z1"),
    (DEEP, "z2"),
    (SQUARE, "z1"),
]


@pytest.mark.parametrize("model, z", HIDDEN, ids=lambda x: getattr(x, "name", x))
def test_what_nothing_explains_has_an_interval_whose_start_is_right_and_whose_end_is_wrong(
    model, z
):
    rng, step = np.random.default_rng(0), f"G_{z}"

    def noisy(n):
        g = model.steps[step](n)
        return g + rng.normal(size=g.shape)

    wrong = {step: noisy}
    found = answer(Mistake("", "", model, wrong, "", ()), LEAVES)
    between = re.search(
        r"the fault is between (\w+), which is right since (\w+) is, and (\w+)$", found.reason
    )
    _, names = model.build()
    right, given = (
        model.chain(names),
        model.chain(names, {step: lambda n: 2 * model.steps[step](n)}),
    )
    start, proof, end = between.groups()
    assert end == found.place
    assert same(given[start], right[start])
    assert same(given[proof], right[proof])
    assert not same(given[end], right[end])
    order = [*model.steps]
    assert order.index(start) < order.index(step) <= order.index(end)


def of_the_same(model, noisy):
    """Which gradients are said to be wrong for the same fault as another one; `noisy`: the steps to
    which noise is added.
    """
    rng = np.random.default_rng(0)

    def with_noise(step):
        return lambda n: model.steps[step](n) + rng.normal(size=model.steps[step](n).shape)

    loss, names = model.build()
    chain = model.chain(names, {step: with_noise(step) for step in noisy})
    chain = {step: g for step, g in chain.items() if names[step[2:]].op is None}
    found = dict(wrong_steps(compare_backprop(loss, names, **chain)))
    same = {k: re.search(r"; perhaps of the same fault as (\w+)$", r) for k, r in found.items()}
    return {k: match and match[1] for k, match in same.items()}


def test_what_may_be_wrong_for_the_same_fault():
    """The gradient before a layer is proved right by that layer's weight."""
    after = dict.fromkeys(("G_b2", "G_W1", "G_b1"), "G_W2")
    assert of_the_same(DEEP, ["G_z2"]) == {"G_W2": None, **after}
    assert of_the_same(DEEP, ["G_b2", "G_W1"]) == {"G_b2": None, "G_W1": None}
    assert of_the_same(ROWS, ["G_z1"]) == {"G_W1": None, "G_b1": "G_W1"}
