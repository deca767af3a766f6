"""The same steps in other libraries, as their own documentation writes them; those not installed are left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def contenders(workload: Any) -> dict[str, Callable]:
    return {}
