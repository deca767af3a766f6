"""A graph as what a drawing shows: cards, arrows, scopes and a title, as plain data without a trace of graphviz."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import re
import weakref
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Any

import numpy as np

from .graph import pull, recording
from .source import block_formula, formula, value_text, vjp_formulas
from .tensor import Tensor, seed
from .trace import Names, names_of_tensors

AUTO_FOLD, MOST_CARDS = 60, 1000
GLYPHS = {
    **{"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "matmul": "@", "power": "**", "negative": "-"},
    **{"greater": ">", "greater_equal": ">=", "less": "<", "less_equal": "<=", "equal": "==", "not_equal": "!="},
    **{"softmax_cross_entropy": "CE", "sigmoid_cross_entropy": "BCE", "getitem": "[ ]"},
}
TARGETS = re.compile(r"(y|t|y_true|.*(target|label).*)$", re.IGNORECASE)


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
        with recording(watch=Notes(SCOPE.get())):
            yield
    finally:
        SCOPE.reset(token)


class Notes:
    """Writes down the scope of each result."""

    def __init__(self, path: Path):
        self.path = path

    def result(self, y: Tensor, *_: Any) -> None:
        """Called for every result; the innermost scope comes last and stays."""
        age = y.age
        SCOPES[age] = weakref.ref(y, lambda _: SCOPES.pop(age, None)), self.path

    def gradient(self, *_: Any) -> None:
        """Gradients have no scope."""


# What a drawing shows


@dataclasses.dataclass
class Card:
    """One value: a leaf, or an op whose result it is; or several equal blocks, folded.

    `kind`: input, parameter, target, constant, op, output or fold. `grad`: the Euclidean length of its gradient, None
    where there is none. `facts`: further lines. `spine`: whether it is on the way from the data to the result.
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

    @property
    def glyph(self) -> str:
        """What stands largest on the card of an op."""
        return GLYPHS.get(self.op, self.op)


@dataclasses.dataclass
class Arrow:
    """A value on its way into an op, and its gradient on the way back.

    `code`: the vjp, from `g`; empty where no gradient flows. `size`: the length of the gradient that it sends.
    """

    tail: str
    head: str
    broadcast: str = ""
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
    return Draft(tensor, view, names, values, depth).scene(fold)


class Sizes:
    """Watches gradients pass: how large they are on each arrow, and how large those of each Tensor are as a whole."""

    def __init__(self) -> None:
        self.sent: dict[int, list[float]] = {}  # id of a result -> what goes to each input that gets a gradient
        self.whole: dict[int, Any] = {}  # id of a Tensor -> its gradient

    def result(self, *_: Any) -> None:
        """Called for every result; none is made here."""

    def gradient(self, y: Tensor, x: Tensor, g: Any) -> None:
        """Called for every gradient."""
        full = np.broadcast_to(np.asarray(g), x.shape)
        self.sent.setdefault(id(y), []).append(length(full))
        self.whole[id(x)] = self.whole[id(x)] + full if id(x) in self.whole else full


class Draft:
    """Collects the cards and arrows of one graph."""

    def __init__(self, tensor: Tensor, view: str, names: Names, values: bool, depth: int | None):
        if not isinstance(tensor, Tensor):
            raise TypeError(f"draw takes a Tensor, the result to be drawn, not {type(tensor).__name__}")
        if view not in ("forward", "backward", "both"):
            raise ValueError(f'view is "forward", "backward" or "both", not {view!r}')
        if depth is not None and depth < 1:
            raise ValueError(f"depth is how many steps back from the result are drawn, at least 1, not {depth}")
        self.root, self.view, self.values, self.names = tensor, view, values, names
        self.variables = names_of_tensors(names)
        self.every = reached(tensor)
        self.drawn = self.every if depth is None else reached(tensor, depth)
        self.tensors = inputs_first(tensor, self.drawn)
        self.left_out = f"{len(self.every) - len(self.drawn):,} nodes further back than {depth} steps are left out"
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
        wanted = [t for t in self.tensors if t.op is None and t.requires_grad]
        if not wanted:
            return None, "nothing requires a gradient"
        if self.view == "forward" and all(t.grad is None for t in wanted):
            return None, "no backward() yet"
        sizes = Sizes()
        try:
            start = seed(root, None)
            with recording(watch=sizes):
                pull(root, start)
        except (RuntimeError, ValueError):
            if self.view != "forward":
                raise
            return None, "gradients of parameters from backward(); those of results are out of date"
        sizes.whole[id(root)] = np.asarray(start)
        name = self.name(root) or "the result"
        return sizes, f"gradients from {name}.backward()" if self.view == "forward" else f"gradients of {name}"

    def name(self, t: Tensor) -> str:
        """Its own name, or that of the variable that holds it."""
        return t.name or self.variables.get(id(t), "")

    def kind(self, t: Tensor) -> str:
        """What sort of card it gets."""
        if t is self.root:
            return "output"
        if t.op is not None:
            return "op"
        if t.requires_grad:
            return "parameter"
        roles = {a for y in self.users[id(t)] for x, a in zip(y.inputs, y.op.input_names) if x is t}  # type: ignore
        if "labels" in roles or TARGETS.match(self.name(t)):
            return "target"
        return "input" if self.name(t) else "constant"

    def find_spine(self) -> list[Tensor]:
        """The way from the result back to the data: of several inputs the one that leads there."""
        leads: set[int] = set()
        for t in self.tensors:
            if self.kinds[id(t)] == "input" or any(id(x) in leads for x in self.inputs(t)):
                leads.add(id(t))
        spine = [self.root]
        while self.inputs(spine[-1]):
            inputs = self.inputs(spine[-1])
            ops_first = sorted(inputs, key=lambda x: (id(x) not in leads, x.op is None))
            spine.append(ops_first[0])
        return spine

    def scene(self, fold: bool | str) -> Scene:
        """Everything together, folded where it is asked for or too long otherwise."""
        if fold not in (True, False, "auto"):
            raise ValueError(f'fold is True, False or "auto", not {fold!r}')
        spine = {id(t) for t in self.spine}
        cards = {id(t): self.card(t, id(t) in spine) for t in self.tensors}
        many = len(cards) > AUTO_FOLD
        folds = Folds(self, cards, by_repetition=many) if fold is True or (fold and many) else None
        count = len(cards) if folds is None else folds.count()
        if count > MOST_CARDS and len(self.every) == len(self.drawn):
            raise ValueError(
                f"a picture with {count:,} cards cannot be read: draw(..., depth=20) draws the last 20 steps, and "
                f"what is computed under `with scope('block[0]'):`, `with scope('block[1]'):`, ... is folded"
            )
        arrows = self.arrows(cards, spine, folds)
        shown = [*cards.values()] if folds is None else folds.cards()
        return Scene(self.title(), self.subtitle(folds), shown, arrows, self.view)

    def card(self, t: Tensor, spine: bool) -> Card:
        """The card of a Tensor."""
        kind, name, shape = self.kinds[id(t)], self.name(t), t.shape
        if kind == "output" and not name:
            name = "output"
        card = Card(
            self.ids[id(t)], kind, name, t.op.name if t.op else "", shape, str(t.dtype), self.scope(t), spine=spine
        )
        numbers = [value_text(x) for x in t.inputs if not isinstance(x, Tensor)]
        numbers += [f"{k}={value_text(v)}" for k, v in t.params.items() if k in ("axis", "keepdims", "shape", "index")]
        card.facts += [", ".join(numbers)] if numbers else []
        if t.size == 1 and is_numpy(t):
            card.value = f"{t.item():.5g}"
        elif self.values and t.size <= 12 and is_numpy(t):
            card.facts += np.array2string(t.data, precision=3, separator=", ").splitlines()
        card.grad, card.note = self.gradient(t, kind)
        card.tooltip = "\n".join([f"{name or card.op or 'constant'}: {kind} {shape} {t.dtype}", *self.statistics(t)])
        return card

    def gradient(self, t: Tensor, kind: str) -> tuple[float | None, str]:
        """The length of its gradient, and what the card says where there is none."""
        if not t.requires_grad:
            return None, "no gradient" if t.op is None else ""
        if self.view == "forward" and t.op is None and t.grad is not None:
            return length(t.grad), ""
        if self.sizes is not None and id(t) in self.sizes.whole:
            return length(self.sizes.whole[id(t)]), ""
        return None, "no gradient yet" if kind == "parameter" else ""

    def statistics(self, t: Tensor) -> list[str]:
        """What the tooltip tells of the numbers."""
        if t.dtype.kind != "f" or not t.size or not is_numpy(t):
            return []
        numbers = {"": t.data, "gradient ": self.sizes.whole.get(id(t)) if self.sizes else t.grad}
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

    def arrows(self, cards: dict[int, Card], spine: set[int], folds: Folds | None) -> list[Arrow]:
        """One arrow for each input of each op, in order; those within a fold are left out."""
        arrows, known, taken = [], set(), {self.name(t) for t in self.tensors}
        for y in self.tensors:
            sent = iter(self.sizes.sent.get(id(y), ()) if self.sizes else ())
            codes: Any = None
            for i, x in enumerate(y.inputs):
                if not isinstance(x, Tensor):
                    continue
                flows = self.view != "forward" and x.requires_grad and y.requires_grad
                size = next(sent, None) if x.requires_grad else None
                if id(x) not in self.drawn:
                    continue
                tail, head = cards[id(x)].id, cards[id(y)].id
                if folds is not None:
                    tail, head = folds.id(tail), folds.id(head)
                    if tail == head or ((tail, head) in known and {tail, head} & folds.ids):
                        continue
                    known.add((tail, head))
                if flows and codes is None:
                    codes = vjp_formulas(y, self.names, taken)
                broadcast = x.shape != y.shape and y.op is not None and y.op.elementwise and x.ndim
                arrow = Arrow(tail, head, f"broadcast to {y.shape}" if broadcast else "", spine={id(x), id(y)} <= spine)
                if flows:
                    inside = folds is not None and head in folds.ids
                    arrow.code, arrow.size = "" if inside else codes[i] or "", size
                arrows.append(arrow)
        return arrows

    def title(self) -> str:
        """The formula of the whole."""
        text = formula(self.root, self.names) if self.root.op is not None else ""
        name = self.name(self.root)
        return f"{name} = {text}" if name and text else text or name or "a leaf"

    def subtitle(self, folds: Folds | None) -> list[str]:
        """Counts, and what is not shown."""
        parameters = [t for t in self.tensors if self.kinds[id(t)] == "parameter"]
        dtypes = sorted({str(t.dtype) for t in self.tensors if t.dtype.kind == "f"})
        facts = [plural(len(self.every), "node")]
        if parameters:
            facts.append(f"{plural(len(parameters), 'parameter')}, {plural(sum(t.size for t in parameters), 'value')}")
        lines = [" · ".join([*facts, *dtypes, self.gradients_from])]
        if len(self.drawn) < len(self.every):
            lines.append(self.left_out)
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
    """Blocks of equal structure, one after another, each lot of them to be shown as one card."""

    def __init__(self, draft: Draft, cards: dict[int, Card], by_repetition: bool):
        self.draft, self.by_tensor = draft, cards
        self.all = [*cards.values()]
        self.blocks: list[tuple[str, list[list[Card]]]] = []  # the name of a fold, and the cards of each block
        self.find_scopes()
        if by_repetition:
            self.find_repetitions()
        self.folded = {card.id: f"f{i}" for i, (_, lot) in enumerate(self.blocks) for block in lot for card in block}
        self.ids = {*self.folded.values()}

    def id(self, card: str) -> str:
        """The card that is shown in its place."""
        return self.folded.get(card, card)

    def count(self) -> int:
        """How many cards are shown."""
        return len(self.all) - len(self.folded) + len(self.blocks)

    def find_scopes(self) -> None:
        """Scopes that are numbered and equal."""
        lots: dict[tuple[Path, str], dict[str, list[Card]]] = {}
        for card in self.all:
            for depth, name in enumerate(card.scope):
                base = re.sub(r"\W*\d+\W*$", "", name)
                if base != name:
                    lots.setdefault((card.scope[:depth], base), {}).setdefault(name, []).append(card)
                    break
        for (_, base), blocks in lots.items():
            lot = [*blocks.values()]
            for same in equal_runs(lot, lambda block: [(card.kind, card.op) for card in block]):
                if len(same) > 1:
                    self.blocks.append((base, same))

    def find_repetitions(self) -> None:
        """Steps of the spine that come again and again, each with the leaves that it alone uses."""
        taken = {card.id for _, lot in self.blocks for block in lot for card in block}
        spine = [self.by_tensor[id(t)] for t in self.draft.spine[::-1] if t.op is not None and t is not self.draft.root]
        ids = {card.id for card in spine}
        beside: dict[str, list[Card]] = {}
        for t in self.draft.tensors:
            card, users = self.by_tensor[id(t)], self.draft.users.get(id(t), [])
            if card.id not in ids and card.kind in ("parameter", "constant") and len({id(y) for y in users}) == 1:
                beside.setdefault(self.by_tensor[id(users[0])].id, []).append(card)
        steps = [[*beside.get(card.id, []), card] for card in spine]
        kinds = [repr([(card.kind, card.op) for card in step]) for step in steps]
        i = 0
        while i < len(steps):
            period, times = longest_repetition(kinds, i)
            block = steps[i : i + period]
            if times * period < 6 or times < 3 or any(card.id in taken for step in block for card in step):
                i += 1
                continue
            starts = range(i, i + times * period, period)
            lot = [[card for step in steps[k : k + period] for card in step] for k in starts]
            self.blocks.append((" -> ".join(step[-1].op for step in block), lot))
            i += times * period

    def cards(self) -> list[Card]:
        """The cards to show: each fold stands where its first block stood."""
        shown, done = [], set()
        for card in self.all:
            fold = self.folded.get(card.id)
            if fold is None:
                shown.append(card)
            elif fold not in done:
                done.add(fold)
                shown.append(self.fold_card(fold))
        return shown

    def fold_card(self, fold: str) -> Card:
        """One card for a lot of equal blocks."""
        name, lot = self.blocks[int(fold[1:])]
        parameters = [card for block in lot for card in block if card.kind == "parameter"]
        results = [[card for card in block if card.op][-1] for block in lot]
        card = Card(
            fold, "fold", name, "", results[-1].shape, results[-1].dtype, common([c.scope for b in lot for c in b])
        )
        card.count, card.spine = len(lot), any(c.spine for c in lot[0])
        block = [self.draft.tensors[int(c.id[1:])] for c in lot[0]]
        inside = {id(t) for t in block}
        came = [x for t in block for x in t.inputs if isinstance(x, Tensor) and id(x) not in inside]
        shapes = [str(came[0].shape)] * bool(came) + [str(result.shape) for result in results]
        shapes = shapes if len(shapes) <= 5 else [*shapes[:2], "...", shapes[-1]]
        card.facts += [block_formula(block, self.draft.name), " -> ".join(shapes)]
        if parameters:
            sizes = sum(math.prod(p.shape) for p in parameters)
            named = [p.name for p in parameters if p.name]
            few = named if len(named) <= 4 else [*named[:2], "...", *named[-2:]]
            card.facts.append(f"{', '.join(few)}{' · ' if few else ''}{plural(sizes, 'value')}")
        grads = [p.grad for p in parameters or [c for b in lot for c in b] if p.grad is not None]
        if grads:
            card.grad = max(grads)
            low, high = f"{min(grads):.3g}", f"{max(grads):.3g}"
            card.note = low if low == high else f"{low} to {high}"
        card.tooltip = f"{len(lot)} blocks, each: " + ", ".join(c.op or c.name for c in lot[0])
        return card


def reached(root: Tensor, depth: int | None = None) -> dict[int, Tensor]:
    """id -> Tensor for all behind `root`, or for those at most `depth` steps back."""
    found, front = {id(root): root}, [root]
    while front and depth != 0:
        front = [x for t in front for x in t.inputs if isinstance(x, Tensor)]
        front = [*{id(x): x for x in front if id(x) not in found}.values()]
        found |= {id(x): x for x in front}
        depth = None if depth is None else depth - 1
    return found


def inputs_first(root: Tensor, drawn: dict[int, Tensor]) -> list[Tensor]:
    """The Tensors drawn, from left to right as the formula has them."""
    order: dict[int, Tensor] = {}
    todo = [root]
    while todo:
        inputs = [x for x in todo[-1].inputs if isinstance(x, Tensor) and id(x) in drawn]
        waiting = [x for x in inputs if id(x) not in order]
        if waiting:
            todo += waiting[::-1]
        else:
            t = todo.pop()
            order[id(t)] = t
    return [*order.values()]


def longest_repetition(kinds: list[str], start: int) -> tuple[int, int]:
    """The length of a block at `start`, and how often it comes in a row, where that covers most."""
    best = (1, 1)
    for period in range(1, 9):
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
    paths = list(paths)
    shared = [names[0] for names in zip(*paths) if len({*names}) == 1]
    return tuple(shared[: next((i for i, names in enumerate(zip(*paths)) if len({*names}) > 1), len(shared))])


def length(g: Any) -> float:
    """The Euclidean length."""
    return float(np.sqrt(np.sum(np.square(np.asarray(g, dtype=float)))))


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
    lines, seen = [scene.title, *scene.subtitle, ""], set()
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
            label = "".join(f"  [{text}]" for text in (arrow.broadcast, arrow.code and f"sent: {arrow.code}") if text)
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
    if card.kind == "fold":
        words = [f"{card.count} x {card.name}", *card.facts]
    else:
        words = [card.name, card.op if card.op != card.name else "", str(card.shape) if card.shape else "", *card.facts]
        words += [f"= {card.value}"] if card.value else []
        words += [card.kind] if card.kind not in ("op", "output") else []
    if card.grad is not None:
        words.append(f"|grad| {card.note or f'{card.grad:.3g}'}")
    elif card.note:
        words.append(card.note)
    return "  ".join(filter(None, words))
