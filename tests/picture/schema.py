"""The JSON of a page checked against its contract: what stands in it, and that every reference resolves.

`check(data)` for a story or a whole page; it raises AssertionError with the place of what is wrong.
"""

from __future__ import annotations

import json
import re

KINDS = {"input", "parameter", "target", "constant", "op", "output", "fold"}
LINES = {"def", "comment", "forward", "backward", "return"}
NUMBER = (int, float)
SIZE = {"w": NUMBER, "h": NUMBER}
MAYBE = type(None)

# field -> the types of its value; those behind it need not be there
CARD = {
    **dict.fromkeys(("id", "kind", "name", "op", "glyph", "shape", "dtype", "note"), str),
    **dict.fromkeys(("code", "gcode"), str),
    **{"scope": list, "facts": list, "spine": bool, "w": NUMBER, "h": NUMBER},
    **{"v": (int, MAYBE), "g": (int, MAYBE), "eq": (list, MAYBE)},
}
CARD_MORE = {"count": int, "nudge": dict}
NUDGE = dict.fromkeys(("at", "by", "from", "to", "slope", "grad"), str)
ARROW = {
    **dict.fromkeys(("id", "tail", "head", "broadcast", "code"), str),
    **{"flows": bool, "spine": bool, "eq": (list, MAYBE), "a": (int, MAYBE), "label": dict},
    **{"size": (int, float, str, MAYBE), "passed": (int, MAYBE), "count": int},
    **{"gcode": str, "gets": bool},
}
ARROW_MORE = {"failed": str}
LINE, LINE_MORE = {"t": str, "k": str, "spans": list}, {"ref": str, "a": int}
STEP = {"k": str, "line": (int, MAYBE)}
STEP_MORE = {"n": str, "a": str, "lines": list, "span": list, "part": list, "same": bool}
ARRAY = {"shape": list, "dtype": str, "rows": int, "cols": int, "v": str}
STATISTIC = (int, float, str)
ARRAY_MORE = {
    **{"of": list, "ri": list, "ci": list, "bad": int, "text": str, "dead": list},
    **dict.fromkeys(("min", "max", "mean", "norm"), STATISTIC),
}
STORY = {
    **{"version": int, "title": str},
    **dict.fromkeys(("subtitle", "notes", "helpers", "cards", "arrows", "scopes"), list),
    **dict.fromkeys(("lines", "steps", "arrays"), list),
}
STORY_MORE = {"g": str, "layouts": list, "chains": list, "record": (dict, MAYBE)}
LAYOUT = {"closed": list, "size": list, "cards": dict, "arrows": dict, "scopes": dict}
CHAIN = {"title": str, "ok": bool, "note": str, "rows": list, "own": (dict, MAYBE)}
ROW = {
    **dict.fromkeys(("name", "called", "verdict", "text", "reason"), str),
    **{"n": (str, MAYBE), "code": list, "a": (int, MAYBE), "off": (*STATISTIC, MAYBE)},
    **{"first": bool, "line": (int, MAYBE), "until": (int, MAYBE), "parts": list, "own": list},
    **{"shape": str, "of": str, "graph": (int, MAYBE), "factor": (int, float)},
    **{"at": (list, MAYBE), "there": (list, MAYBE)},
}
OWN = {"file": str, "function": str, "start": int, "lines": list, "of": int}
VERDICTS = {"right", "wrong", "follows", "not-judged"}


def check(data: dict) -> None:
    """AssertionError for anything that the contract does not allow."""
    json.dumps(data, allow_nan=False, ensure_ascii=False).encode("utf-8")
    fields("page", data, STORY, STORY_MORE, more_allowed=True)
    assert data["version"] == 1
    for name in ("subtitle", "notes", "helpers"):
        assert all(isinstance(text, str) for text in data[name]), name
    for i, array in enumerate(data["arrays"]):
        check_array(f"array {i}", array)
    check_graph(data)
    check_source(data)
    check_steps(data)
    for i, layout in enumerate(data.get("layouts", [])):
        check_layout(f"layout {i}", layout, data)
    for i, chain in enumerate(data.get("chains", [])):
        check_chain(f"chain {i}", chain, data)
    if data.get("record") is not None:
        check_record(data["record"], data)


def fields(where, found, needed, more=(), more_allowed=False):
    """Whether a dict has the fields that it must have, and of the right type."""
    more = dict(more)
    assert isinstance(found, dict), where
    assert {*needed} <= {*found}, f"{where} has no { ({*needed} - {*found}) }"
    if not more_allowed:
        assert {*found} <= {*needed, *more}, f"{where} has { ({*found} - {*needed} - {*more}) }"
    for name, kind in {**needed, **more}.items():
        if name in found:
            value = found[name]
            assert isinstance(value, kind), f"{where}: {name} is {value!r:.80}"
            allowed = kind if isinstance(kind, tuple) else (kind,)
            assert not isinstance(value, bool) or bool in allowed, f"{where}: {name} is {value!r}"


def index(where, i, data):
    """Whether an array is there."""
    assert i is None or 0 <= i < len(data["arrays"]), f"{where}: array {i} of {len(data['arrays'])}"


def numbers(array):
    """The numbers of an array as a page reads them."""
    return [float(x) for x in array["v"].split()]


def check_array(where, array):
    fields(where, array, ARRAY, ARRAY_MORE)
    assert all(isinstance(n, int) and n >= 0 for n in array["shape"]), where
    full = 1
    for n in array["shape"]:
        full *= n
    if "of" in array:
        (rows, cols), ri, ci = array["of"], array["ri"], array["ci"]
        assert (len(ri), len(ci)) == (array["rows"], array["cols"]), where
        for taken, count in ((ri, rows), (ci, cols)):
            assert taken == sorted({*taken}) and (not taken or 0 <= taken[0] <= taken[-1] < count)
        assert rows * cols == full, where
    else:
        assert array["rows"] * array["cols"] == full, where
    found = numbers(array)
    if "text" in array:
        assert not found, where
        return
    assert len(found) == array["rows"] * array["cols"], where
    for name in ("min", "max", "mean", "norm"):
        if isinstance(array.get(name), str):
            assert array[name] in ("inf", "-inf", "nan"), where


def references(data):
    """All that a reference may be."""
    cards = [card["id"] for card in data["cards"]]
    arrows = [arrow["id"] for arrow in data["arrows"]]
    gradients = [f"g:{card['id']}" for card in data["cards"] if card["g"] is not None]
    every = [*cards, *arrows, *gradients]
    assert len({*every}) == len(every), "an id stands for two things"
    return {*every}


def check_tokens(where, tokens, data, known):
    for token in tokens or []:
        if isinstance(token, str):
            continue
        fields(where, token, {"t": str, "a": (int, MAYBE)}, {"ref": str})
        index(where, token["a"], data)
        assert "ref" not in token or token["ref"] in known, f"{where}: {token}"


def check_graph(data):
    known, seen = references(data), set()
    assert data["cards"]
    for card in data["cards"]:
        where = f"card {card.get('id')}"
        fields(where, card, CARD, CARD_MORE)
        assert card["kind"] in KINDS, where
        assert re.fullmatch(r"f\d+" if card["kind"] == "fold" else r"n\d+", card["id"]), where
        assert ("count" in card) == (card["kind"] == "fold" or card["v"] is None), where
        assert card["w"] > 0 and card["h"] > 0, where
        index(where, card["v"], data)
        index(where, card["g"], data)
        assert (card["g"] is None) == bool(card["note"]), f"{where}: {card['note']!r}"
        check_tokens(where, card["eq"], data, known)
        if "nudge" in card:
            fields(where, card["nudge"], NUDGE)
    tails = {}
    for arrow in data["arrows"]:
        where = f"arrow {arrow.get('id')}"
        fields(where, arrow, ARROW, ARROW_MORE)
        assert re.fullmatch(r"a\d+", arrow["id"]), where
        assert {arrow["tail"], arrow["head"]} <= known, where
        fields(where, arrow["label"], SIZE)
        index(where, arrow["a"], data)
        assert arrow["flows"] == (arrow["size"] is not None), where
        check_tokens(where, arrow["eq"], data, known)
        tails.setdefault(arrow["head"], []).append(arrow["tail"])
    for card in data["cards"]:
        assert {*tails.get(card["id"], [])} <= seen, f"{card['id']} stands before an input"
        seen.add(card["id"])
    paths = [scope["path"] for scope in data["scopes"]]
    assert [scope["id"] for scope in data["scopes"]] == [f"s{i}" for i in range(len(paths))]
    for card in data["cards"]:
        for depth in range(1, len(card["scope"]) + 1):
            assert card["scope"][:depth] in paths, f"{card['id']} is in an unknown scope"


def check_source(data):
    known = references(data)
    for i, line in enumerate(data["lines"]):
        where = f"line {i}"
        fields(where, line, LINE, LINE_MORE)
        assert line["k"] in LINES and "\n" not in line["t"], where
        assert line.get("ref", data["cards"][0]["id"]) in known, where
        index(where, line.get("a"), data)
        places = []
        for start, end, ref, array in line["spans"]:
            assert 0 <= start < end <= len(line["t"]), where
            assert ref is None or ref in known, f"{where}: {ref}"
            index(where, array, data)
            places.append((start, end))
        assert len({*places}) == len(places), f"{where}: the same characters twice"
        for a in places:  # they nest
            for b in places:
                apart = a[1] <= b[0] or b[1] <= a[0]
                within = (a[0] <= b[0] and b[1] <= a[1]) or (b[0] <= a[0] and a[1] <= b[1])
                assert apart or within, f"{where}: {a} and {b} overlap"


def check_steps(data):
    cards = {card["id"]: card for card in data["cards"]}
    arrows = {arrow["id"]: arrow for arrow in data["arrows"]}
    assert data["steps"] and data["steps"][0]["k"] == "given"
    kinds = [step["k"] for step in data["steps"]]
    assert kinds == sorted(kinds, key=["given", "forward", "seed", "backward"].index)
    assert kinds.count("given") == 1 and kinds.count("seed") <= 1
    for i, step in enumerate(data["steps"]):
        where = f"step {i}"
        fields(where, step, STEP, STEP_MORE)
        assert (step["k"] == "given") == ("n" not in step), where
        assert step.get("n", data["cards"][0]["id"]) in cards, where
        assert ("a" in step) == (step["k"] == "backward"), where
        for line in (step["line"], *step.get("lines", [])):
            assert line is None or 0 <= line < len(data["lines"]), where
        if "span" in step:
            start, end = step["span"]
            assert 0 <= start < end <= len(data["lines"][step["line"]]["t"]), where
        if "part" in step:
            assert 1 <= step["part"][0] <= step["part"][1] > 1, where
        if "a" in step:
            assert arrows[step["a"]]["tail"] == step["n"] and arrows[step["a"]]["flows"], where
    computed = [card["id"] for card in data["cards"] if card["op"] or card["kind"] == "fold"]
    forward = [step["n"] for step in data["steps"] if step["k"] == "forward"]
    assert sorted(forward) == sorted(computed)
    backward = [step["a"] for step in data["steps"] if step["k"] == "backward"]
    assert sorted(backward) == sorted(a for a, arrow in arrows.items() if arrow["flows"])


def check_layout(where, layout, data):
    fields(where, layout, LAYOUT)
    cards = {card["id"] for card in data["cards"]}
    arrows = {arrow["id"] for arrow in data["arrows"]}
    scopes = {scope["id"] for scope in data["scopes"]}
    assert {*layout["closed"]} <= scopes and {*layout["scopes"]} <= scopes, where
    assert {*layout["cards"]} <= cards and {*layout["arrows"]} <= arrows, where
    if not layout["closed"]:
        assert ({*layout["cards"]}, {*layout["arrows"]}) == (cards, arrows), where
        assert {*layout["scopes"]} == scopes, where
    for box in (*layout["cards"].values(), *layout["scopes"].values()):
        assert len(box) == 4 and all(isinstance(x, NUMBER) for x in box), where
    for arrow in layout["arrows"].values():
        assert len(arrow["pts"]) >= 8 and len(arrow["pts"]) % 6 == 2, where
        assert len(arrow["label"]) == 2, where


def check_chain(where, chain, data):
    fields(where, chain, CHAIN, {"shown": bool})
    cards = {card["id"] for card in data["cards"]}
    for row in chain["rows"]:
        fields(where, row, ROW)
        assert row["verdict"] in VERDICTS and (row["n"] is None or row["n"] in cards), where
        index(where, row["a"], data)
        index(where, row["graph"], data)
        assert row["of"] in ("gradient", "value") and (row["line"] is None) == (
            row["until"] is None
        )
        if row["line"] is not None:
            own = chain["own"]
            last = own["start"] + len(own["lines"])  # of a long function a part is shown
            assert own["start"] <= row["line"] <= row["until"] < last, where
    assert sum(row["first"] for row in chain["rows"]) <= 1, where
    if chain["own"] is not None:
        fields(where, chain["own"], OWN)


def check_record(record, data):
    fields("record", record, {"frames": list, "scale": dict})
    for i, frame in enumerate(record["frames"]):
        where = f"frame {i}"
        fields(where, frame, {"step": int, "loss": str, "arrays": dict, "hints": list})
        for hint in frame["hints"]:
            fields(f"{where}: hint", hint, {"text": str}, {"ref": str})
        for key, array in frame["arrays"].items():
            index(where, int(key), data)
            base = data["arrays"][int(key)]
            assert len(array["v"].split()) == base["rows"] * base["cols"], f"{where}: array {key}"
    for key in record["scale"]:
        index("scale", int(key), data)
