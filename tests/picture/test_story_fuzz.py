"""Stories of random programs: every span, equation, value and gradient, and the order of the steps."""

from __future__ import annotations

import fuzz_programs
import numpy as np
import programs
import pytest
from fuzz import loss_of
from helpers import counted
from picture import stories

from tinygrad_steel import Tensor

pytestmark = [pytest.mark.slow]
CHUNKS, SIZE = 6, counted(200, 50)


def random_loss(seed):
    """Each of two kinds in turn: with all functions, or with what is hard about arrays."""
    if seed % 2:
        program = fuzz_programs.Program(seed)
        leaves = {
            name: Tensor(program.data[name], requires_grad=each.wanted, name=name)
            for name, each in program.leaves.items()
        }
        return loss_of(program, leaves)
    program = programs.Program(seed, programs.EVERY)
    leaves = [Tensor(program.data[name], requires_grad=True, name=name) for name in program.leaves]
    return program.run(programs.LIBRARY, *leaves)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_random_programs(chunk):
    for seed in range(chunk * SIZE, (chunk + 1) * SIZE):
        with np.errstate(all="ignore"):
            loss = random_loss(seed)
        try:
            stories.check(loss, fold=seed % 3 == 0)
        except AssertionError as error:
            raise AssertionError(f"random program {seed}: {error}") from error
