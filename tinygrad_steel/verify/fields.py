"""What `help` says of a NamedTuple: of each field the words that the class's Attributes have."""

from __future__ import annotations

import inspect
import re
from typing import Any, ForwardRef, TypeVar

Class = TypeVar("Class", bound=type[Any])
ENTRY = re.compile(r"^(\w+(?:, \w+)*) : .*\n((?:    .*\n?)+)", re.MULTILINE)


def with_words(cls: Class) -> Class:
    """The same class, without "Alias for field number 0" and `ForwardRef` in its help."""
    for names, words in ENTRY.findall(inspect.cleandoc(cls.__doc__ or "")):
        for name in names.split(", "):
            if name in cls._fields:
                getattr(cls, name).__doc__ = " ".join(words.split())
    kinds = cls.__new__.__annotations__
    for name, kind in kinds.items():
        kinds[name] = kind.__forward_arg__ if isinstance(kind, ForwardRef) else kind
    return cls
