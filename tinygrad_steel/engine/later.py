"""Files of this room that load when one of their functions is first called: few programs call all."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any


class Later:
    """A file whose functions can be named before it is loaded."""

    def __init__(self, file: str):
        self.file = file

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return functools.partial(call, self.file, name)


def call(file: str, name: str, /, *args: Any, **kwargs: Any) -> Any:
    """What a function of a file answers."""
    return function(file, name)(*args, **kwargs)


@functools.cache
def function(file: str, name: str) -> Callable[..., Any]:
    """A function of a file, which is loaded for it."""
    found: Callable[..., Any] = getattr(importlib.import_module(f".{file}", __package__), name)
    return found


if TYPE_CHECKING:
    from . import numpy_algebra as algebra
    from . import numpy_elements as elements
    from . import numpy_elementwise as elementwise
    from . import numpy_joins as joins
    from . import numpy_products as products
    from . import numpy_questions as questions
    from . import numpy_reductions as reductions
    from . import numpy_shapes as shapes
    from . import numpy_statistics as statistics
    from . import refusals
else:
    algebra = Later("numpy_algebra")
    elementwise = Later("numpy_elementwise")
    elements = Later("numpy_elements")
    joins = Later("numpy_joins")
    products = Later("numpy_products")
    questions = Later("numpy_questions")
    reductions = Later("numpy_reductions")
    refusals = Later("refusals")
    shapes = Later("numpy_shapes")
    statistics = Later("numpy_statistics")

__all__ = [
    "algebra",
    "elements",
    "elementwise",
    "joins",
    "products",
    "questions",
    "reductions",
    "refusals",
    "shapes",
    "statistics",
]
