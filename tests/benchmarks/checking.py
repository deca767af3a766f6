"""What `compare_backprop` costs: on a large right chain, where nothing explains a fault, and watching code.

    python tests/benchmarks/checking.py

Each row is the least of several runs, in one process and one thread; a limit stands beside it. Each report is looked at
first, so that nothing is timed that says something else than it should.
"""

from __future__ import annotations

# ruff: noqa: E402 (the threads are set before NumPy is imported, or it is too late)
import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import itertools
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from tinygrad_steel import Tensor, compare_backprop, relu, softmax_cross_entropy
from tinygrad_steel.verify.report import Report
from tinygrad_steel.verify.watching import watched


class Row(NamedTuple):
    """What is timed: the code, what is to be true of its report, and its limit in seconds."""

    title: str
    compare: Callable[[], Report]
    is_as_it_should: Callable[[Report], bool]
    limit: float


class Mlp:
    """relu layers and a softmax, with the backward by hand."""

    def __init__(self, sizes: tuple[int, ...], batch: int, seed: int = 0):
        rng = np.random.default_rng(seed)
        self.x = rng.normal(size=(batch, sizes[0]))
        self.y = np.eye(sizes[-1])[rng.integers(0, sizes[-1], batch)]
        pairs = [*itertools.pairwise(sizes)]
        self.Ws = [rng.normal(size=pair) * np.sqrt(2 / pair[0]) for pair in pairs]
        self.bs = [rng.normal(size=n) * 0.1 for _, n in pairs]

    def graph(self) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and its Tensors by name."""
        names: dict[str, Tensor] = {}
        h: Any = self.x
        for i, (W, b) in enumerate(zip(self.Ws, self.bs)):
            names[f"W{i}"] = Tensor(W, requires_grad=True)
            names[f"b{i}"] = Tensor(b, requires_grad=True)
            names[f"z{i}"] = h @ names[f"W{i}"] + names[f"b{i}"]
            h = names[f"h{i}"] = relu(names[f"z{i}"])
        last = names[f"z{len(self.Ws) - 1}"]
        del names[f"h{len(self.Ws) - 1}"]
        return np.mean(softmax_cross_entropy(last, self.y)), names

    def backward(self) -> dict[str, np.ndarray]:
        """The gradients by hand."""
        hs, zs = [self.x], []
        for W, b in zip(self.Ws, self.bs):
            z = hs[-1] @ W + b
            zs.append(z)
            hs.append(np.maximum(z, 0))
        e = np.exp(zs[-1] - zs[-1].max(axis=1, keepdims=True))
        delta = (e / e.sum(axis=1, keepdims=True) - self.y) / len(self.x)
        grads = {}
        for i in range(len(self.Ws))[::-1]:
            grads[f"dz{i}"] = delta
            grads[f"dW{i}"] = hs[i].T @ delta
            grads[f"db{i}"] = delta.sum(axis=0)
            if i:
                grads[f"dh{i - 1}"] = dh = delta @ self.Ws[i].T
                delta = dh * (zs[i - 1] > 0)
        return grads


def handed(mlp: Mlp, leaves_alone: bool = False) -> dict[str, np.ndarray]:
    """Its gradients as arrays are handed over."""
    found = {f"G_{name[1:]}": g for name, g in mlp.backward().items()}
    return {name: g for name, g in found.items() if name[2] in "Wb" or not leaves_alone}


def odd(mlp: Mlp) -> dict[str, np.ndarray]:
    """Gradients of leaves that nothing explains."""
    rng = np.random.default_rng(1)
    return {name: rng.normal(size=g.shape) for name, g in handed(mlp, leaves_alone=True).items()}


def chain_of(nodes: int) -> tuple[Tensor, Tensor]:
    """A loss of so many nodes, and its leaf."""
    rng = np.random.default_rng(2)
    w = Tensor(rng.normal(size=(6, 4)), requires_grad=True, name="w")
    h = w
    for _ in range(nodes // 4):
        h = np.tanh(h) * 1.01 + w * 0.1
    return np.mean(np.square(h)), w


def rows() -> Iterator[Row]:
    """All rows."""
    large = Mlp((784, 512, 512, 10), 512)
    loss, names = large.graph()
    right, strange = handed(large), odd(large)
    yield Row(
        "right chain of 784-512-512-10, batch 512",
        lambda: compare_backprop(loss, names, **right),
        lambda report: report.ok,
        0.3,
    )
    yield Row(
        "the same with leaves alone, and nothing explains them",
        lambda: compare_backprop(loss, names, **strange),
        lambda report: report.faults[0].startswith("unexplained"),
        3,
    )
    long, w = chain_of(2000)
    long.backward()
    g, w.grad = w.grad, None
    long, w = chain_of(2000)
    yield Row(
        "right gradient of a loss of 2,000 nodes",
        lambda: compare_backprop(long, G_w=g),
        lambda report: report.ok,
        3,
    )
    yield Row(
        "the same where nothing explains it",
        lambda: compare_backprop(long, G_w=np.cos(g)),
        lambda report: report.faults[0].startswith("unexplained"),
        3,
    )
    small = Mlp((4, 6, 5, 3), 8)
    small_loss, small_names = small.graph()
    yield Row(
        "code of a right chain of 4-6-5-3, batch 8",
        lambda: compare_backprop(small_loss, small_names, backprop=small.backward),
        lambda report: report.ok,
        0.3,
    )


def least(run: Callable[[], Any], times: int = 3) -> float:
    """The least time of a few runs."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return min(found)


def watching() -> Iterator[tuple[str, float]]:
    """How many times longer code on small arrays takes under the watch."""
    for sizes, batch in (((4, 6, 5, 3), 8), ((8, 8, 8, 8, 8, 8, 3), 4), ((64, 64, 10), 64)):
        mlp = Mlp(sizes, batch)
        own = least(mlp.backward, 300)
        title = f"watching a backprop of {'-'.join(map(str, sizes))}, batch {batch}"
        yield title, least(partial(watched, mlp.backward), 60) / own


def main() -> None:
    print(f"{'':62}{'seconds':>9}{'limit':>8}")
    for row in rows():
        report = row.compare()
        assert row.is_as_it_should(report), report
        print(f"{row.title:62}{least(row.compare):9.3f}{row.limit:8g}")
    print(f"\n{'':62}{'times':>9}{'limit':>8}")
    for title, times in watching():
        print(f"{title:62}{times:9.1f}{20:8}")


if __name__ == "__main__":
    main()
