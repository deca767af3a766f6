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

    def __getattr__(self, name: str) -> Named:
        return Named(self.file, name)


class Named:
    """A function by its name; the first call, or who asks for `function` itself, loads its file."""

    def __init__(self, file: str, name: str):
        self.file, self.name = file, name

    @functools.cached_property
    def function(self) -> Callable[..., Any]:
        """The function itself."""
        module = importlib.import_module(f".{self.file}", __package__)
        found: Callable[..., Any] = getattr(module, self.name)
        return found

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)


if TYPE_CHECKING:
    from . import arguments, heatmap, refusals
    from . import numpy_algebra as algebra
    from . import numpy_elementwise as elementwise
    from . import numpy_joins as joins
    from . import numpy_parts as parts
    from . import numpy_products as products
    from . import numpy_questions as questions
    from . import numpy_reductions as reductions
    from . import numpy_shapes as shapes
    from . import numpy_statistics as statistics
else:
    algebra = Later("numpy_algebra")
    arguments = Later("arguments")
    elementwise = Later("numpy_elementwise")
    heatmap = Later("heatmap")
    parts = Later("numpy_parts")
    joins = Later("numpy_joins")
    products = Later("numpy_products")
    questions = Later("numpy_questions")
    reductions = Later("numpy_reductions")
    refusals = Later("refusals")
    shapes = Later("numpy_shapes")
    statistics = Later("numpy_statistics")

__all__ = [
    "algebra",
    "arguments",
    "elementwise",
    "heatmap",
    "joins",
    "parts",
    "products",
    "questions",
    "reductions",
    "refusals",
    "shapes",
    "statistics",
]
