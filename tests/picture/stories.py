"""What is true of every story, checked against eager results, the source itself and NumPy.

`check(tensor)` makes the story of a Tensor and raises AssertionError for the first thing that is not.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter

import numpy as np
from picture import schema
from spec import spec

from tinygrad_steel import OPS, grad
from tinygrad_steel.picture.page.story import make_story

CLOSE = {"rtol": 1e-6, "atol": 1e-9, "equal_nan": True}
LOOSE = {"rtol": 2e-3, "atol": 1e-6, "equal_nan": True}  # equations have few digits


def told(tensor, names=None, **options):
    """A story that keeps to the contract."""
    story = make_story(tensor, names, **options)
    schema.check(story.data)
    if story.traced is not None:
        spec(story.traced.program)
    return story


def check(tensor, names=None, **options):
    """All of the checks below."""
    story = told(tensor, names, **options)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_values(story)
        check_order(story)
        check_gradients(story)
        check_spans(story)
        check_equations(story)
    return story


def array(story, i):
    """An array of a story as it is, not as text."""
    return story.arrays.every[i]


def by_id(story):
    return {card["id"]: card for card in story.data["cards"]}


def same(found, expected, tolerance=CLOSE, about=""):
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape, f"{about}: {found.shape}, not {expected.shape}"
    kind = max(x.dtype.itemsize if x.dtype.kind == "f" else 8 for x in (found, expected))
    least = min(x.dtype.itemsize if x.dtype.kind == "f" else 8 for x in (found, expected))
    if kind and least < 8:  # float32 and float16 round, and sums of them in another order do more
        tolerance = {"rtol": 3e-2, "atol": 3e-2} if least == 2 else {"rtol": 1e-3, "atol": 1e-4}
        tolerance["equal_nan"] = True
    np.testing.assert_allclose(
        found.astype(float), expected.astype(float), **tolerance, err_msg=about
    )


def check_values(story):
    """A card has the array of its Tensor."""
    cards = by_id(story)
    folded = {card["id"] for card in story.data["cards"] if card["kind"] == "fold"}
    for t, id in story.cards.items():
        if id not in folded and cards[id]["v"] is not None:
            same(array(story, cards[id]["v"]), np.asarray(t.data), CLOSE, id)
            assert cards[id]["shape"] == str(t.shape) and cards[id]["dtype"] == str(t.dtype)


def check_order(story):
    """Steps go down the source, each after those that it needs."""
    steps, arrows = story.data["steps"], {a["id"]: a for a in story.data["arrows"]}
    done, lines = set(), [step["line"] for step in steps]
    computed = {step["n"] for step in steps if step["k"] == "forward"}
    for step in steps:
        if step["k"] == "forward":
            tails = {a["tail"] for a in arrows.values() if a["head"] == step["n"]}
            assert tails & computed <= done, f"{step} before its inputs"
            done.add(step["n"])
    sent, whole = Counter(), Counter(a["tail"] for a in arrows.values() if a["flows"])
    for step in (step for step in steps if step["k"] == "backward"):
        arrow = arrows[step["a"]]
        head = arrow["head"]
        assert sent[head] == whole[head], f"{step} before all of the gradient has arrived"
        sent[step["n"]] += 1
        many = whole[step["n"]]
        expected = [sent[step["n"]], many] if many > 1 and step["n"][0] != "f" else None
        assert step.get("part") == expected, step
    if None in lines:
        start = lines.index(None)
        assert {*lines[start:]} == {None} and steps[start]["k"] in ("forward", "seed")
        lines = lines[:start]
    assert lines == sorted(lines), lines


def check_gradients(story):
    """Gradients are those of `grad`, and the sums of what arrows send."""
    cards, graph = by_id(story), story.graph
    flowing = [(t, cards[id]) for t, id in story.cards.items() if cards[id]["g"] is not None]
    flowing = [(t, card) for t, card in flowing if card["kind"] != "fold"]
    if not flowing:
        return
    for (_, card), g in zip(flowing, grad(graph.root, [t for t, _ in flowing])):
        same(array(story, card["g"]), g.data, CLOSE, card["id"])
    if len(graph.tensors) < len(graph.every):
        return  # parts come from what is not shown
    parts, missing = {}, set()
    for arrow in story.data["arrows"]:
        if arrow["flows"] and arrow["a"] is not None:
            parts.setdefault(arrow["tail"], []).append(array(story, arrow["a"]))
        elif arrow["flows"]:
            missing.add(arrow["tail"])
    for id in {card["id"] for _, card in flowing} - missing - {story.cards[graph.root]}:
        same(sum(parts[id]), array(story, cards[id]["g"]), CLOSE, id)


def namespace(story):
    """All variables of the source of a story, computed by Python from the arrays of its leaves."""
    found = {"np": np}
    for helper in story.data["helpers"]:
        exec(helper, found)
    lines = story.data["lines"]
    for start, end, _, i in lines[0]["spans"]:
        found[lines[0]["t"][start:end]] = array(story, i)
    exec("\n".join(line["t"] for line in lines[1:-1]), found)
    return found


def check_spans(story):
    """What characters of the source say is what Python makes of them."""
    if story.data["notes"] or any(op.draws for op in ops_of(story)):
        return  # Python cannot run it, or would draw anew
    variables = namespace(story)
    for line in story.data["lines"]:
        for start, end, ref, i in line["spans"]:
            text = line["t"][start:end]
            same(eval(text, dict(variables)), array(story, i), CLOSE, text)
            if ref is not None:
                shown = by_id(story)[ref.removeprefix("g:")]["g" if ":" in ref else "v"]
                if shown is None:
                    continue  # one card for many data
                full = array(story, shown)
                same(np.broadcast_to(array(story, i), full.shape), full, CLOSE, text)
        if "ref" in line:
            name = line["t"].split(" = ")[0]
            same(variables[name], array(story, line["a"]), CLOSE, name)


def ops_of(story):
    return [t.op for t in story.graph.tensors if t.op is not None]


# What an equation calls a function is the name of its op.
def scattered(g, index, shape):
    """What `z[index] = g` makes of zeros, where places that come twice add up."""
    z = np.zeros(shape, np.result_type(g))
    np.add.at(z, index, g)
    return z


FORMULAS = {**{"np": np, **OPS}, "scatter": scattered, "einsum": np.einsum}


def check_equations(story):
    """An equation gives what stands at its left, computed with the arrays of its symbols."""
    count = Counter()
    for card in story.data["cards"]:
        if card["eq"] is not None and not is_drawn(story, card["id"]):
            count[check_equation(story, card["eq"], array(story, card["v"]))] += 1
    for arrow in story.data["arrows"]:
        if arrow["eq"] is not None:
            count[check_equation(story, arrow["eq"], array(story, arrow["a"]))] += 1
    return count


def is_drawn(story, id):
    t = next(t for t, card in story.cards.items() if card == id)
    return t.op.draws or t.op.random


def check_equation(story, equation, expected):
    """Whether it could be computed: not where a symbol has no array, or a name is not known."""
    variables, text = {}, ""
    for token in equation:
        if isinstance(token, str):
            text += token
            continue
        name = f"symbol_{len(variables)}"
        x = array(story, token["a"])
        variables[name] = x.astype(int) if x.dtype.kind == "u" else x  # no wrap-around
        text += name
        if token["t"].startswith("-"):
            return False
    if re.search(r"\.\.\.|array\(", text):
        return False
    try:
        found = eval(text, {**FORMULAS, **variables})
    except (NameError, SyntaxError):  # a function of somebody's own, whatever its name
        return False
    found = np.broadcast_to(found, expected.shape)
    loose = LOOSE | {"atol": 5e-4} if re.search(r"\d\.\d", text) else LOOSE  # 4 digits of 1.539
    same(found, expected, loose, "".join(t if isinstance(t, str) else t["t"] for t in equation))
    return True
