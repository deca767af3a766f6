"""A graph as what a drawing shows: cards, arrows, scopes and a title, as plain data without a trace of graphviz."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import graphlib
import itertools
import math
import re
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextvars import Context, ContextVar
from typing import Any

import numpy as np

from .. import ops
from ..engine.backward import pull
from ..engine.recording import Watcher, recording
from ..engine.tensor import Tensor, seed
from ..program.trace import Builder, Names
from ..written.source import INFIX, Code, block_formula, formula, index_text, value_text, vjp_formulas

AUTO_FOLD, MOST_CARDS = 60, 1000
BETWEEN = " · "  # between facts in a line; in text " | ", which every console can show
GLYPHS = {
    **{op: sign for op, (sign, _) in INFIX.items()},
    ops.negative: "-",
    **{ops.softmax_cross_entropy: "CE", ops.sigmoid_cross_entropy: "BCE", ops.getitem: "[ ]"},
}
TARGETS = re.compile(r"(y|t|y_true|.*(target|label).*)$", re.IGNORECASE)
NUMBER = re.compile(r"\W*\d+\W*$")  # at the end of a scope's name


# Scopes

Path = tuple[str, ...]
SCOPE: ContextVar[Path] = ContextVar("scope", default=())
SCOPES: dict[int, tuple[Any, Path]] = {}  # id of a result -> a reference that removes the entry, and its scope


@contextlib.contextmanager
def scope(name: str) -> Iterator[None]:
    """Group what is computed inside `with scope("hidden[0]"):` in the picture; scopes may contain scopes.

    Parameters belong to the scope in which they are used. Scopes with the same name but for a number at the end
    (`hidden[0]`, `hidden[1]`) and the same structure can be folded into one card. Costs time on every op inside.
    """
    token = SCOPE.set((*SCOPE.get(), str(name)))
    try:
        with recording(watcher=Notes(SCOPE.get())):
            yield
    finally:
        SCOPE.reset(token)


class Notes(Watcher):
    """Writes down the scope of each result."""

    def __init__(self, path: Path):
        self.path = path

    def result(self, y: Tensor, *_: Any) -> None:
        """Called for every result; the innermost scope comes last and stays."""
        age = y.age
        SCOPES[age] = weakref.ref(y, lambda _: SCOPES.pop(age, None)), self.path


# What a drawing shows


@dataclasses.dataclass
class Card:
    """One value: a leaf, or an op whose result it is; or several equal blocks, folded.

    `kind`: input, parameter, target, constant, op, output or fold. `grad`: the Euclidean length of its gradient, None
    where there is none. `facts`: further lines. `spine`: whether it is on the way from the data to the result.
    `glyph`: what stands largest on the card of an op.
    """

    id: str
    kind: str
    name: str
    op: str
    shape: tuple[int, ...]
    dtype: str
    scope: Path
    value: str = ""
    grad: float | None = None
    note: str = ""
    facts: list[str] = dataclasses.field(default_factory=list)
    tooltip: str = ""
    spine: bool = False
    count: int = 1
    glyph: str = ""


@dataclasses.dataclass
class Arrow:
    """A value on its way into an op, and its gradient on the way back.

    `flows`: whether a gradient is shown. `code`: the vjp, from `g`. `size`: the length of the gradient that it sends.
    """

    tail: str
    head: str
    broadcast: str = ""
    flows: bool = False
    code: str = ""
    size: float | None = None
    spine: bool = False


@dataclasses.dataclass
class Scene:
    """A whole picture: `cards` with inputs before what is computed from them, the last one being the result."""

    title: str
    subtitle: list[str]
    cards: list[Card]
    arrows: list[Arrow]
    view: str

    @functools.cached_property
    def by_id(self) -> dict[str, Card]:
        """id -> card."""
        return {card.id: card for card in self.cards}


def scene(
    tensor: Tensor,
    view: str = "forward",
    names: Names = None,
    values: bool = False,
    fold: bool | str = "auto",
    depth: int | None = None,
) -> Scene:
    """What a drawing of `tensor` and everything behind it shows; the arguments are those of `draw`."""

    @np.errstate(all="ignore")
    def drawn() -> Scene:
        return Draft(tensor, view, names, values, depth).scene(fold)

    return Context().run(drawn)  # outside of every `with`: no detect_anomaly() stops a picture of what it has found


class Sizes(Watcher):
    """Watches gradients pass: how large they are on each arrow, and how large those of each Tensor are as a whole."""

    def __init__(self) -> None:
        self.lengths: dict[int, list[float]] = {}  # id of a result -> what goes to each input that gets a gradient
        self.whole: dict[int, Any] = {}  # id of a Tensor -> its gradient

    def sent(self, y: Tensor, x: Tensor, g: Any) -> None:
        """Note the length of what an op sends to one of its inputs."""
        self.lengths.setdefault(id(y), []).append(length(np.broadcast_to(np.asarray(g), x.shape)))

    def gradient(self, y: Tensor, g: Any) -> Any:
        """Note a whole gradient, in full shape."""
        self.whole[id(y)] = np.broadcast_to(np.asarray(g), y.shape)
        return g


class Draft:
    """Collects the cards and arrows of one graph."""

    def __init__(self, tensor: Tensor, view: str, names: Names, values: bool, depth: int | None):
        if not isinstance(tensor, Tensor):
            raise TypeError(f"draw takes a Tensor, the result to be drawn, not {type(tensor).__name__}")
        if view not in ("forward", "backward", "both"):
            raise ValueError(f'view is "forward", "backward" or "both", not {view!r}')
        if depth is not None and depth < 1:
            raise ValueError(f"depth is how many steps back from the result are drawn, at least 1, not {depth}")
        self.root, self.view, self.values, self.names, self.depth = tensor, view, values, names, depth
        self.every = reached(tensor)
        self.drawn = self.every if depth is None else reached(tensor, depth)
        self.tensors = inputs_first(tensor, self.inputs)
        builder = Builder(names)
        self.called = {id(t): str(builder.name(t) or "") for t in self.drawn.values()}
        self.ids = {id(t): f"n{i}" for i, t in enumerate(self.tensors)}
        self.users: dict[int, list[Tensor]] = {}
        for y in self.tensors:
            for x in self.inputs(y):
                self.users.setdefault(id(x), []).append(y)
        self.sizes, self.gradients_from = self.pull_gradients()
        self.kinds = {id(t): self.kind(t) for t in self.tensors}
        self.spine = self.find_spine()

    def inputs(self, t: Tensor) -> list[Tensor]:
        """The Tensors from which it was computed, as far as they are drawn."""
        return [x for x in t.inputs if isinstance(x, Tensor) and id(x) in self.drawn]

    def pull_gradients(self) -> tuple[Sizes | None, str]:
        """All gradients, pulled for this picture alone, and what the subtitle says of them."""
        root = self.root
        wanted = [t for t in self.every.values() if t.op is None and t.requires_grad]
        if not wanted:
            return None, "nothing requires a gradient"
        if self.view == "forward" and all(t.grad is None for t in wanted):
            return None, "no backward() yet"
        sizes = Sizes()
        try:
            start = seed(root, None)
            with recording(watcher=sizes):
                pull(root, start)
        except Exception:  # data has changed since, the result has several elements, a vjp is wrong
            if self.view != "forward":
                raise
            return None, "gradients of parameters as backward() left them, none of results"
        name = self.name(root)
        forward = f"gradients from {name}.backward()" if name else "gradients from backward()"
        return sizes, forward if self.view == "forward" else f"gradients of {name or 'the result'}"

    def name(self, t: Tensor) -> str:
        """Its own name, or that of the variable that holds it; empty where there is none."""
        return self.called[id(t)]

    def kind(self, t: Tensor) -> str:
        """What sort of card it gets."""
        if t.op is not None:
            return "output" if t is self.root else "op"
        if t.requires_grad:
            return "parameter"
        users = self.users.get(id(t), [])
        roles = {a for y in users for x, a in zip(y.inputs, y.op.input_names) if x is t}  # type: ignore[union-attr]
        if "labels" in roles or TARGETS.match(self.name(t)):
            return "target"
        return "input" if self.name(t) else "constant"

    def find_spine(self) -> list[Tensor]:
        """The longest way from the result back to the data, or to any leaf where there is no data."""
        steps: dict[int, int] = {}  # how many lie between it and the data; absent where it does not depend on data
        data = "input" in self.kinds.values()
        for t in self.tensors:
            ways = [steps[id(x)] for x in self.inputs(t) if id(x) in steps]
            if ways or self.kinds[id(t)] == "input" or not (data or self.inputs(t)):
                steps[id(t)] = 1 + max(ways, default=0)
        spine = [self.root]
        while inputs := self.inputs(spine[-1]):
            spine.append(max(inputs, key=lambda x: (steps.get(id(x), 0), x.op is not None)))
        return spine

    def scene(self, fold: bool | str) -> Scene:
        """Everything together, folded where it is asked for or too long otherwise."""
        if fold not in (True, False, "auto"):
            raise ValueError(f'fold is True, False or "auto", not {fold!r}')
        spine = {id(t) for t in self.spine}
        cards = {id(t): self.card(t, id(t) in spine) for t in self.tensors}
        folds = Folds(self, cards) if fold is True or (fold and len(cards) > AUTO_FOLD) else None
        shown = [*cards.values()] if folds is None else folds.cards()
        if len(shown) > MOST_CARDS and self.depth is None:
            raise ValueError(
                f"a picture with {len(shown):,} cards cannot be read: draw(..., depth=20) draws the last 20 steps, and "
                f"what is computed under `with scope('block[0]'):`, `with scope('block[1]'):`, ... is folded"
            )
        arrows = self.arrows(cards, folds)
        return Scene(self.title(), self.subtitle(folds), shown, arrows, self.view)

    def card(self, t: Tensor, spine: bool) -> Card:
        """The card of a Tensor."""
        kind, name, shape = self.kinds[id(t)], self.name(t), t.shape
        if kind == "output" and not name:
            name = "output"
        card = Card(
            self.ids[id(t)], kind, name, t.op.name if t.op else "", shape, str(t.dtype), self.scope(t), spine=spine
        )
        card.glyph = GLYPHS.get(t.op, card.op)
        card.facts += settings(t)
        if t.size == 1 and is_numpy(t):
            card.value = f"{t.item():.5g}" if t.dtype.kind == "f" else str(t.item())
        elif self.values and t.size <= 12 and is_numpy(t):
            card.facts += np.array2string(t.data, precision=3, separator=", ").splitlines()
        card.grad, card.note = self.gradient(t, kind)
        called = printable(name) or card.op or "no name"
        card.tooltip = "\n".join([f"{called}: {kind} {shape} {t.dtype}", *self.statistics(t)])
        return card

    def gradient(self, t: Tensor, kind: str) -> tuple[float | None, str]:
        """The length of its gradient, and what the card says where there is none."""
        if not t.requires_grad:
            return None, "no gradient" if t.op is None else ""
        pulled = {} if self.sizes is None else self.sizes.whole
        g = t.grad if self.view == "forward" and t.op is None else pulled.get(id(t))
        if g is not None:
            return length(g), ""
        none = "no gradient yet" if self.sizes is None or id(t) in pulled else "no gradient arrives"
        return None, none if kind == "parameter" else ""

    def statistics(self, t: Tensor) -> list[str]:
        """What the tooltip tells of the numbers."""
        if t.dtype.kind != "f" or not t.size or not is_numpy(t):
            return []
        numbers = {"": t.data, "gradient ": self.sizes.whole.get(id(t)) if self.sizes else getattr(t, "grad", None)}
        return [
            f"{what}mean {np.mean(x):.3g}, min {np.min(x):.3g}, max {np.max(x):.3g}"
            for what, x in numbers.items()
            if x is not None
        ]

    def scope(self, t: Tensor) -> Path:
        """Where it was computed; a parameter or constant belongs where it is used."""
        if self.kinds[id(t)] in ("parameter", "constant"):
            paths = [self.scope(y) for y in self.users.get(id(t), [])]
            return common(paths) if paths else ()
        found = SCOPES.get(t.age)
        return found[1] if found and found[0]() is t else ()

    def arrows(self, cards: dict[int, Card], folds: Folds | None) -> list[Arrow]:
        """One arrow for each input of each op, in order; of several between a fold and another card the first."""
        arrows: dict[Any, Arrow] = {}
        taken = {self.name(t) for t in self.tensors}
        spine = {(id(x), id(y)) for y, x in itertools.pairwise(self.spine)}
        for y in self.tensors:
            sizes = self.sizes.lengths.get(id(y), []) if self.sizes else []
            sent = iter(sizes)
            codes: Any = None
            for i, x in enumerate(y.inputs):
                if not isinstance(x, Tensor):
                    continue
                flows = self.view != "forward" and x.requires_grad and bool(sizes)
                size = next(sent, None) if x.requires_grad else None
                if id(x) not in self.drawn:
                    continue
                tail, head, key, inside = cards[id(x)].id, cards[id(y)].id, (id(y), i), False
                if folds is not None and {tail, head} & folds.folded.keys():
                    inside = head in folds.folded
                    key = tail, head = folds.id(tail), folds.id(head)
                    if tail == head or (key in arrows and (arrows[key].flows or not flows)):
                        continue
                arrow = Arrow(tail, head, flows=flows, spine=(id(x), id(y)) in spine)
                if x.ndim and x.shape != y.shape and y.op.elementwise and not inside:  # type: ignore[union-attr]
                    arrow.broadcast = f"broadcast to {y.shape}"
                if flows:
                    arrow.size = size
                if flows and not inside:
                    codes = codes or self.codes(y, taken)
                    arrow.code = codes[i] or ""
                arrow.spine |= key in arrows and arrows[key].spine
                arrows[key] = arrow
        return [*arrows.values()]

    def codes(self, y: Tensor, taken: set[str]) -> list[str | None]:
        """The vjps of an op in code; their mere name where they run on arrays alone."""
        try:
            return vjp_formulas(y, self.names, taken)
        except Exception:
            return [f"vjp of {y.op.name}"] * len(y.inputs)  # type: ignore[union-attr]

    def title(self) -> str:
        """The formula of the whole."""
        text = formula(self.root, self.names) if self.root.op is not None else ""
        name = self.name(self.root)
        return f"{name} = {text}" if name and text else text or name or "a leaf"

    def subtitle(self, folds: Folds | None) -> list[str]:
        """Counts, and what is not shown."""
        parameters = [t for t in self.every.values() if t.op is None and t.requires_grad]
        dtypes = sorted({str(t.dtype) for t in self.tensors if t.dtype.kind == "f"})
        facts = [plural(len(self.every), "node")]
        if parameters:
            facts.append(f"{plural(len(parameters), 'parameter')}, {plural(sum(t.size for t in parameters), 'value')}")
        lines = [BETWEEN.join([*facts, *dtypes, self.gradients_from])]
        if left_out := len(self.every) - len(self.drawn):
            lines.append(f"{plural(left_out, 'node')} further back than {plural(self.depth or 0, 'step')} left out")
        if folds is not None and folds.blocks:
            many = sum(len(block) for _, block in folds.blocks)
            lines.append(f"{plural(many, 'repeated block')} folded; draw(..., fold=False) shows all")
        if self.view != "forward":
            lines.append(
                "purple arrow = gradient sent to that operand; g = gradient of the node it leaves; thicker = larger; "
                "dotted = none"
            )
        return lines


class Folds:
    """Blocks of equal structure, each lot of them to be shown as one card."""

    def __init__(self, draft: Draft, cards: dict[int, Card]):
        self.draft, self.by_tensor = draft, cards
        self.all = [*cards.values()]
        self.edges = [(cards[id(x)].id, cards[id(y)].id) for y in draft.tensors for x in draft.inputs(y)]
        self.blocks: list[tuple[str, list[list[Card]]]] = []  # the name of a fold, and the cards of each block
        self.folded: dict[str, str] = {}  # card -> fold
        self.find_scopes()
        self.find_repetitions()

    def id(self, card: str) -> str:
        """The card that is shown in its place."""
        return self.folded.get(card, card)

    def inputs(self) -> dict[str, list[str]]:
        """What is shown, and the cards from which arrows lead to it."""
        found: dict[str, list[str]] = {self.id(card.id): [] for card in self.all}
        for tail, head in self.edges:
            if self.id(tail) != self.id(head):
                found[self.id(head)].append(self.id(tail))
        return found

    def add(self, name: str, lot: list[list[Card]]) -> bool:
        """Show these blocks as one card, unless arrows would then lead round in a circle."""
        before = self.folded
        self.folded = before | {card.id: f"f{len(self.blocks)}" for block in lot for card in block}
        try:
            graphlib.TopologicalSorter(self.inputs()).prepare()
        except graphlib.CycleError:
            self.folded = before
            return False
        self.blocks.append((name, lot))
        return True

    def tensors(self, block: list[Card]) -> list[Tensor]:
        """The Tensors that these cards show."""
        return [self.draft.tensors[int(card.id[1:])] for card in block]

    def structure(self, block: list[Card]) -> list:
        """What makes two blocks equal: kinds and ops, and where in the block their inputs come from."""
        tensors = self.tensors(block)
        places = {id(t): str(i) for i, t in enumerate(tensors)}
        return [
            (card.kind, card.op, *(places.get(id(x), "outside") for x in t.inputs if isinstance(x, Tensor)))
            for card, t in zip(block, tensors)
        ]

    def find_scopes(self) -> None:
        """Scopes that are numbered and equal, the outer ones first."""
        for depth in range(max(len(card.scope) for card in self.all)):
            lots: dict[tuple[Path, str], dict[str, list[Card]]] = {}
            for card in self.all:
                if len(card.scope) > depth and NUMBER.search(card.scope[depth]) and card.id not in self.folded:
                    path = card.scope[:depth], NUMBER.sub("", card.scope[depth])
                    lots.setdefault(path, {}).setdefault(card.scope[depth], []).append(card)
            for (_, base), blocks in lots.items():
                for same in equal_runs([*blocks.values()], self.structure):
                    if len(same) > 1:
                        self.add(base or "block", same)

    def find_repetitions(self) -> None:
        """Steps of the spine that come again and again, each with what it alone uses; a numbered scope is one step."""
        steps: dict[str, int] = {}  # card -> number of its step
        names: list[str] = []
        last: Any = None
        for t in self.draft.spine[-1:0:-1]:
            card = self.by_tensor[id(t)]
            scope = next((card.scope[: i + 1] for i, name in enumerate(card.scope) if NUMBER.search(name)), ())
            if not scope or scope != last:
                names.append(NUMBER.sub("", scope[-1]) or "block" if scope else card.op)
            last = scope
            if card.op and card.id not in self.folded:
                steps[card.id] = len(names) - 1
        for t in self.draft.tensors[::-1]:
            card = self.by_tensor[id(t)]
            if card.kind in ("op", "parameter", "constant") and not card.spine and card.id not in self.folded:
                users = {steps.get(self.by_tensor[id(y)].id, -1) for y in self.draft.users.get(id(t), [])}
                if len(users) == 1 and -1 not in users:
                    steps.setdefault(card.id, users.pop())
        blocks: list[list[Card]] = [[] for _ in names]
        for card in self.all:
            if card.id in steps:
                blocks[steps[card.id]].append(card)
        kinds = [repr(self.structure(block)) if block else f"folded {i}" for i, block in enumerate(blocks)]
        i = 0
        while i < len(kinds):
            period, times = longest_repetition(kinds, i)
            lot = [[*itertools.chain(*blocks[k : k + period])] for k in range(i, i + period * times, period)]
            worth_it = times > 2 and sum(map(len, lot)) > 5
            if worth_it:
                self.add(" -> ".join(names[i : i + period]), lot)
            i += period * times if worth_it else 1

    def cards(self) -> list[Card]:
        """The cards to show, inputs first."""
        inputs, by_id = self.inputs(), {card.id: card for card in self.all}
        shown = inputs_first(self.by_tensor[id(self.draft.root)].id, inputs.__getitem__)
        return [by_id[id] if id in by_id else self.fold_card(id) for id in shown]

    def fold_card(self, fold: str) -> Card:
        """One card for a lot of equal blocks."""
        name, lot = self.blocks[int(fold[1:])]
        every = [*itertools.chain(*lot)]
        parameters = [card for card in every if card.kind == "parameter"]
        card = Card(fold, "fold", name, "", lot[-1][-1].shape, lot[-1][-1].dtype, common(c.scope for c in every))
        card.count, card.spine = len(lot), any(c.spine for c in lot[0])
        first, last = self.tensors(lot[0]), self.tensors(lot[-1])
        used = {id(x) for t in last for x in t.inputs} - {id(t) for t in first}
        shared = [x for t in first for x in self.draft.inputs(t) if x.op is None and id(x) in used]
        formulas = dict.fromkeys(block_formula([*shared, *block], self.draft.name) for block in (first, last))
        card.facts += [", ..., ".join(formulas), " -> ".join(self.shapes(lot))]
        if parameters:
            sizes = sum(math.prod(p.shape) for p in parameters)
            named = [p.name for p in parameters if p.name]
            few = named if len(named) <= 4 else [*named[:2], "...", *named[-2:]]
            card.facts.append(f"{', '.join(few)}{BETWEEN if few else ''}{plural(sizes, 'value')}")
            card.note = parameters[0].note
        grads = [p.grad for p in parameters or every if p.grad is not None]
        if grads:
            low, high = (f"{end(grads):.3g}" for end in (np.min, np.max))
            card.grad = float(np.max(grads))
            card.note = low if low == high else f"{low} to {high}"
        card.tooltip = f"{len(lot)} blocks, each: " + ", ".join(c.op or c.name or c.kind for c in lot[0])
        return card

    def shapes(self, lot: list[list[Card]]) -> list[str]:
        """The shape that comes in, and those that the blocks make of it, one after another or side by side."""
        blocks = [{id(t): t for t in self.tensors(block)} for block in lot[:2]]
        came, before = (
            [x for t in block.values() for x in t.inputs if isinstance(x, Tensor) and id(x) not in block]
            for block in blocks
        )
        results = [str(block[-1].shape) for block in lot]
        if len({*results}) == 1 and not any(id(x) in blocks[0] for x in before):
            results = results[:1]
        shapes = [str(x.shape) for x in came[:1]] + results
        return shapes if len(shapes) <= 5 else [*shapes[:2], "...", shapes[-1]]


def reached(root: Tensor, depth: int | None = None) -> dict[int, Tensor]:
    """id -> Tensor for all behind `root`, or for those at most `depth` steps back."""
    found, front = {id(root): root}, [root]
    while front and depth != 0:
        front = [x for t in front for x in t.inputs if isinstance(x, Tensor)]
        front = [*{id(x): x for x in front if id(x) not in found}.values()]
        found |= {id(x): x for x in front}
        depth = None if depth is None else depth - 1
    return found


def inputs_first(root: Any, inputs: Callable[[Any], list]) -> list:
    """Everything from which `root` is computed and itself, from left to right as the formula has it."""
    order: dict[Any, None] = {}
    todo = [root]
    while todo:
        waiting = [x for x in inputs(todo[-1]) if x not in order]
        todo.extend(waiting[::-1]) if waiting else order.setdefault(todo.pop())
    return [*order]


def longest_repetition(kinds: list[str], start: int) -> tuple[int, int]:
    """The length of a block at `start`, and how often it comes in a row, where that covers most."""
    best = (1, 1)
    for period in range(1, 33):
        times = 1
        while kinds[start + times * period : start + (times + 1) * period] == kinds[start : start + period]:
            times += 1
        if times > 1 and times * period > best[0] * best[1]:
            best = (period, times)
    return best


def equal_runs(items: list, key: Any) -> Iterator[list]:
    """Neighbours with equal keys, together."""
    run: list = []
    for item in items:
        if run and key(item) != key(run[-1]):
            yield run
            run = []
        run.append(item)
    if run:
        yield run


def common(paths: Iterable[Path]) -> Path:
    """The scope in which all of these are."""
    return tuple(names[0] for names in itertools.takewhile(lambda names: len({*names}) == 1, zip(*paths)))


def length(g: Any) -> float:
    """The Euclidean length, also of numbers whose squares are too large or too small."""
    g = np.abs(np.asarray(g, dtype=float))
    top = float(np.max(g, initial=0.0))
    return top * float(np.sqrt(np.sum(np.square(g / top)))) if 0 < top < math.inf else top


def settings(t: Tensor) -> list[str]:
    """Plain numbers among the inputs of a result, where they stand, and parameters that are not as usual."""
    words = []
    numbers = [x for x in t.inputs if not isinstance(x, Tensor)]
    if numbers and len(t.inputs) == 2 and t.op in GLYPHS:
        words.append(f" {GLYPHS[t.op]} ".join("_" if isinstance(x, Tensor) else number_text(x) for x in t.inputs))
    else:
        words += [number_text(x) for x in numbers]
    for key, value in t.params.items():
        if key == "index":
            words.append(f"[{index_text(value, [Code('...')] * len(t.inputs))}]")
        elif repr(value) != repr(t.op.defaults[key]):  # type: ignore[union-attr]
            words.append(f"{key}={re.sub(' at 0x[0-9a-f]+', '', value_text(value))}")
    return [", ".join(words)] if words else []


def number_text(x: Any) -> str:
    """A plain number, not longer than it needs to be."""
    return f"{x:.6g}" if isinstance(x, float | np.floating) else value_text(x)


def is_numpy(t: Tensor) -> bool:
    """Whether its numbers are at hand (those of a Dask array are not computed yet)."""
    return isinstance(t.data, (np.ndarray, np.generic))


def plural(n: int, what: str) -> str:
    """`1 node`, `1,200 nodes`."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def text_tree(scene: Scene) -> str:
    """The scene as text, from the result back to the leaves; what has one input goes on below, without an indent."""
    cards = {card.id: card for card in scene.cards}
    inputs: dict[str, list[Arrow]] = {}
    for arrow in scene.arrows:
        inputs.setdefault(arrow.head, []).append(arrow)
    subtitle = [line.replace(BETWEEN, " | ") for line in scene.subtitle]
    lines, seen = [printable(line) for line in (scene.title, *subtitle, "")], set()
    todo = [(scene.cards[-1].id, "", "", "")]
    while todo:
        id, mark, indent, label = todo.pop()
        again = id in seen and id in inputs
        lines.append(f"{mark}{describe_card(cards[id])}{label}{'  (see above)' if again else ''}")
        if id in seen:
            continue
        seen.add(id)
        arrows = inputs.get(id, [])
        for i, arrow in reversed([*enumerate(arrows)]):
            texts = (arrow.broadcast, arrow.code and f"sent: {printable(arrow.code)}")
            label = "".join(f"  [{text}]" for text in texts if text)
            if len(arrows) == 1:
                todo.append((arrow.tail, f"{indent}^ ", indent, label))
            else:
                last = i == len(arrows) - 1
                todo.append(
                    (arrow.tail, f"{indent}{'`' if last else '|'}- ", f"{indent}{' ' if last else '|'}  ", label)
                )
    return "\n".join(lines)


def describe_card(card: Card) -> str:
    """A card in one line."""
    facts = [fact.replace(BETWEEN, " | ") for fact in card.facts]
    if card.kind == "fold":
        words = [f"{card.count} x {card.name}", *facts]
    else:
        words = [card.name, card.op if card.op != card.name else "", str(card.shape) if card.shape else "", *facts]
        words += [f"= {card.value}"] if card.value else []
        words += [card.kind] if card.kind not in ("op", "output") else []
    if card.grad is not None:
        words.append(f"|grad| {card.note or f'{card.grad:.3g}'}")
    elif card.note:
        words.append(card.note)
    return "  ".join(printable(word) for word in words if word)


def printable(text: str) -> str:
    """Newlines and other controls as Python writes them."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
