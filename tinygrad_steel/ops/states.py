"""Random generators: where one is in its sequence, and how it is put back there."""

from __future__ import annotations

from typing import Any

import numpy as np


def state(generator: Any) -> Any:
    """Where a generator is in its sequence."""
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    if isinstance(generator, np.random.RandomState):
        return generator.get_state(legacy=False)
    return generator.getstate() if is_pythons(generator) else generator.state


def put_back(generator: Any, old: Any) -> None:
    """Set a generator to a state."""
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = old
    elif isinstance(generator, np.random.RandomState):
        generator.set_state(old)
    elif is_pythons(generator):
        generator.setstate(old)
    else:
        generator.state = old


def is_pythons(generator: Any) -> bool:
    """Whether it is a random.Random, a module that no import of ops waits for."""
    return hasattr(generator, "getstate")
