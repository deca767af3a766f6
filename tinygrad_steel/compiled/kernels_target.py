"""What the machine that code is compiled for can do with vectors: asked of the compiler itself."""

from __future__ import annotations

import functools
from typing import NamedTuple

from llvmlite import binding

# A vector longer than any: which registers it is cut into tells how long those are.
QUESTION = """
target triple = "{triple}"
declare <16 x double> @llvm.fmuladd.v16f64(<16 x double>, <16 x double>, <16 x double>)
define void @ask(ptr %p) {{
    %x = load <16 x double>, ptr %p, align 8
    %y = call <16 x double> @llvm.fmuladd.v16f64(<16 x double> %x, <16 x double> %x, <16 x double> %x)
    store <16 x double> %y, ptr %p, align 8
    ret void
}}
"""


class Target(NamedTuple):
    """The vector registers of a machine."""

    width: int  # bytes in one
    held: int  # how many values a tile may hold at once without being spilled
    masks: bool  # whether a part of a vector is stored by one cheap instruction


@functools.cache
def target(triple: str, cpu: str, features: str) -> Target:
    """The vector registers that LLVM uses for this processor with these features.

    Its assembly for a long vector is looked at, not the name of the processor: numba compiles for
    another one where NUMBA_CPU_NAME and NUMBA_CPU_FEATURES say so, and what a name implies only LLVM
    knows.
    """
    machine = binding.Target.from_triple(triple).create_target_machine(cpu=cpu, features=features)
    text = machine.emit_assembly(binding.parse_assembly(QUESTION.format(triple=triple)))
    if "zmm" in text:
        return Target(width=64, held=28, masks=True)
    if "ymm" in text:
        return Target(width=32, held=15 if "vfmadd" in text else 13, masks=False)
    if triple.startswith(("aarch64", "arm64")):
        return Target(width=16, held=28, masks=False)
    return Target(width=16, held=12, masks=False)
