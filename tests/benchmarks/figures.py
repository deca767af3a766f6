"""What was measured: of each row the seconds, from which all that is printed follows; kept as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from columns import CLEAN

# By which column a back end is timed, where "auto" takes it for an epoch
COLUMN_OF_BACKEND = {"numba": "epoch", "numpy": "calls", "jax": "in-jax"}


@dataclass
class Fresh:
    """What a fresh process needs: seconds to import and to compile (no training in it), MiB beyond imports."""

    imports: float
    cold: float
    warm: float
    memory: float | None


@dataclass
class Row:
    """A workload: seconds of a step by column, operations of its products, and what fresh processes need."""

    seconds: dict[str, float]
    flops: float
    dtype: str
    auto: str = ""  # the back end that "auto" takes for an epoch
    fresh: dict[str, Fresh] = field(default_factory=dict)

    def ratios(self, peak: dict[str, float], cores: int) -> dict[str, float]:
        """By column, to clean NumPy; with "limit", the products at the processor's peak, and "auto"."""
        clean = self.seconds[CLEAN]
        found = {name: seconds / clean for name, seconds in self.seconds.items()}
        column = COLUMN_OF_BACKEND.get(self.auto)
        if column in found:
            found["auto"] = found[column]
        return found | {"limit": self.flops / (peak[self.dtype] * 1e9 * cores) / clean}


@dataclass
class Figures:
    """Of one run: the machine in lines, its peak in GFLOP/s of a core by dtype, how many cores, and the rows."""

    machine: list[str]
    peak: dict[str, float]
    cores: int
    rows: dict[str, Row] = field(default_factory=dict)

    def ratios(self, row: str) -> dict[str, float]:
        return self.rows[row].ratios(self.peak, self.cores)

    def save(self, file: str | Path) -> None:
        """With the ratios, for other readers; `load` works them out anew."""
        ratios = {name: self.ratios(name) for name in self.rows}
        text = json.dumps({**asdict(self), "ratios": ratios}, indent=1)
        Path(file).write_text(text + "\n", encoding="utf-8")


def load(file: str | Path) -> Figures:
    found = json.loads(Path(file).read_text(encoding="utf-8"))
    rows = {
        name: Row(**{**row, "fresh": {c: Fresh(**fresh) for c, fresh in row["fresh"].items()}})
        for name, row in found["rows"].items()
    }
    return Figures(found["machine"], found["peak"], found["cores"], rows)
