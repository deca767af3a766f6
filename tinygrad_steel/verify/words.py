"""What values and gradients are called in reports: as in the written source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..program.trace import Node, Trace
from ..written.source import WIDTH, Code, Definitions, Writer


def written(traced: Trace) -> tuple[Mapping[Node, Code], dict[str, str]]:
    """What everything is called in the written source, and the line of each name."""
    definitions = Definitions()
    for kind in (definitions, None):
        writer = Writer(kind, reserved={"backprop", *definitions.names_for(traced)})
        try:
            lines, _, _ = writer.backprop(traced)
        except TypeError:  # an op that cannot be written out still has a name
            continue
        return writer.codes, {line.partition(" = ")[0]: line for line in lines}
    return writer.codes, {}


def gradient_names(traced: Trace, codes: Mapping[Node, Code]) -> dict[Node, str]:
    """What the gradients of named values are called; nobody knows the names of others."""
    return {
        g: code.text for g, code in codes.items() if g is traced.start or (g.owner and g.owner.name)
    }


def spelled(values: Iterable[Node], called: Mapping[Node, str]) -> dict[Node, Code]:
    """How to call these values, inputs first: by their names, or by what they are computed from."""
    speaker = Writer(None)
    for x in values:
        code = spelling(x, x.name or called.get(x, ""), speaker)
        if len(code.text) > WIDTH and x.op is not None:
            code = Code(f"{x.op.name}(...)")
        speaker.codes[x] = code
    return speaker.codes


def spelling(x: Node, name: str, speaker: Writer) -> Code:
    """One value in words, where all before it have theirs."""
    if name:
        return Code(name)
    if x.op is not None:
        return speaker.expression(x)
    return Code(f"array{x.shape}" if x.shape else f"{x.data:g}")
