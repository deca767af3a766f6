"""How numba compiles a program: by few passes, and without writing loops out several times.

Both are choices for the time that it takes. What is left out of numba's passes is for Python that
generated loops do not have: closures, comprehensions, exceptions, functions to be inlined. And LLVM
would make of each loop a form for 8, for 4 and for 1 turn at once, in vectors and without: most of
the code, three quarters of the time, and slower to run, as these loops are short.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from llvmlite import binding
from numba.core import codegen as untyped
from numba.core import compiler, compiler_machinery, typed_passes, untyped_passes

codegen: Any = untyped
PassManager: Any = compiler_machinery.PassManager
register: Any = compiler_machinery.register_pass


@contextlib.contextmanager
def loops_once() -> Iterator[None]:
    """While it lasts, LLVM vectorizes loops, but does not write their bodies out several times.

    numba asks LLVM for its passes in one function, which has no option for that. Where another
    version of numba has it no more, compilation takes longer, and nothing else changes.
    """
    old = getattr(codegen, "create_pass_builder", None)

    def new(machine: Any, opt: int = 2, **chosen: bool) -> Any:
        if {*chosen} != {"loop_vectorize", "slp_vectorize"}:
            return old(machine, opt=opt, **chosen)  # type: ignore[misc]
        options = binding.create_pipeline_tuning_options()
        options.speed_level = opt
        options.loop_vectorization = chosen["loop_vectorize"]
        options.slp_vectorization = chosen["slp_vectorize"]
        options.loop_interleaving = options.loop_unrolling = False
        return binding.create_pass_builder(machine, options)

    if old is None:
        yield
        return
    codegen.create_pass_builder = new
    try:
        yield
    finally:
        codegen.create_pass_builder = old


@register(mutates_CFG=True, analysis_only=False)
class Lowering(typed_passes.NativeLowering):
    """From numba's own code to the machine's: a pass, which runs while no other thread compiles."""

    _name = "lowering_with_loops_once"

    def run_pass(self, state: Any) -> bool:
        with loops_once():
            done: bool = super().run_pass(state)  # type: ignore[no-untyped-call]
        return done


PASSES = [
    untyped_passes.TranslateByteCode,
    untyped_passes.FixupArgs,
    untyped_passes.IRProcessing,
    untyped_passes.ReconstructSSA,
    typed_passes.NopythonTypeInference,
    typed_passes.PreLowerStripPhis,
    typed_passes.IRLegalization,
    Lowering,
    typed_passes.NoPythonBackend,
]


class Pipeline(compiler.CompilerBase):
    """The passes, for `numba.njit(pipeline_class=Pipeline)`."""

    def define_pipelines(self) -> list[Any]:
        passes = PassManager("loops")
        for one in PASSES:
            passes.add_pass(one, one.__name__)
        passes.finalize()
        return [passes]
