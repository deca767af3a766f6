"""Tensors as keys of dicts and in sets: by identity, which would be wrong in silence for integers."""

from __future__ import annotations

from typing import Any

from .messages import described_result


def refuse_key(t: Any) -> None:
    """TypeError for a single integer or bool that was computed: as a key, NumPy's counts by value.

    Leaves and floats stay keys by identity, as in `{weight: "name"}` and sets of losses.
    """
    kind = t.dtype.kind
    if kind == "f" or (t._op is None and not hasattr(t, "_unrecorded")):
        return
    number = "bool(k)" if kind == "b" else "int(k)"
    raise TypeError(
        f"{described_result(t)}, as a key of a dict or in a set: Tensors count by identity there, and "
        f"NumPy's numbers by value. Write {number} for the value of such a k, id(k) for the Tensor itself"
    )
