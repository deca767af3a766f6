"""The plot: how cost grows with width, batch and depth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from columns import BY_NAME
from figures import Figures
from rows import SWEEPS

# Few, in colours that colour-blind readers tell apart (Okabe and Ito), each with a mark of its own
DRAWN = {
    "eager": ("#009E73", "v"),
    "torch": ("#CC79A7", "D"),
    "jax-scan": ("#D55E00", "s"),
    "epoch": ("#0072B2", "o"),
    "limit": ("#767676", ""),
}
LIMIT = "the limit"
INK, GRID = "#333333", "#DDDDDD"
LABELS = {"width": "width (batch 10)", "batch": "batch (32 wide)", "depth": "depth (16 wide)"}


def draw(figures: Figures, file: str | Path) -> None:
    """Save the sweeps that were measured, one panel each."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    measured = {
        sweep: {n: figures.ratios(f"{sweep}{n}") for n in sizes if f"{sweep}{n}" in figures.rows}
        for sweep, sizes in SWEEPS.items()
    }
    measured = {sweep: points for sweep, points in measured.items() if points}
    if not measured:
        raise ValueError("no row of a sweep was measured: nothing to draw")
    # GitHub's pages are some 830 pixels wide: letters of 9 points stay readable
    figure, panels = plt.subplots(
        *(1, len(measured)), figsize=(8.6, 3.6), sharey=True, squeeze=False, layout="constrained"
    )
    for panel, (sweep, points) in zip(panels[0], measured.items()):
        panel_of(panel, LABELS[sweep], points)
    panels[0][0].set_ylabel("time of a step, clean NumPy = 1", color=INK, fontsize=9)
    drawn = [r for found in measured.values() for line in found.values() for r in at_marks(line)]
    panels[0][0].set_ylim(
        min(drawn) / 2, max(drawn) * 1.5
    )  # the limit of tiny networks lies far below
    label(panels[0][-1])
    label_limit(panels[0])
    figure.savefig(file, dpi=200, facecolor="white")
    plt.close(figure)


def at_marks(ratios: dict[str, float]) -> list[float]:
    """Of those that are drawn, all but the limit."""
    return [1, *(ratios[name] for name, (_, mark) in DRAWN.items() if mark and name in ratios)]


def panel_of(panel: Any, title: str, points: dict[int, dict[str, float]]) -> None:
    """The lines of one sweep."""
    panel.axhline(1, color=INK, linewidth=0.8, label="clean NumPy")
    for name, (colour, mark) in DRAWN.items():
        line = [(n, found[name]) for n, found in points.items() if name in found]
        if line:
            style = "-" if mark else (0, (4, 2))
            panel.plot(
                *zip(*line),
                color=colour,
                marker=mark or None,
                linestyle=style,
                markersize=4,
                linewidth=2 if name == "epoch" else 1.4,
                label=BY_NAME[name].title if name in BY_NAME else LIMIT,
            )
    panel.set(xscale="log", yscale="log")
    panel.set_xlabel(title, color=INK, fontsize=9)
    panel.set_xticks([*points], labels=[*map(str, points)], minor=False)
    panel.minorticks_off()
    panel.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
    panel.tick_params(colors=INK, labelsize=8, which="both", length=2)
    panel.grid(color=GRID, linewidth=0.6)
    panel.set_axisbelow(True)
    for side in ("top", "right", "left", "bottom"):
        panel.spines[side].set_visible(side == "bottom")


def label(panel: Any) -> None:
    """Names at the right ends of the last panel's lines, pushed apart where they would touch."""
    low, high = panel.get_ylim()
    lines = [line for line in panel.get_lines() if line.get_ydata()[-1] > low]
    gap, last = (high / low) ** 0.062, 0.0
    for line in sorted(lines, key=lambda line: line.get_ydata()[-1]):
        last = max(line.get_ydata()[-1], last * gap)
        place = {"xy": (1.04, last), "xycoords": ("axes fraction", "data"), "va": "center"}
        panel.annotate(line.get_label(), color=line.get_color(), fontsize=9, **place)


def label_limit(panels: Sequence[Any]) -> None:
    """Its name where it is highest, below its end, unless it has one at the right."""
    *others, last = panels
    ends = [(line.get_xydata()[-1], line, panel) for panel in others for line in panel.get_lines()]
    limits = [(y, x, line, p) for (x, y), line, p in ends if line.get_label() == LIMIT]
    if limits and LIMIT not in {text.get_text() for text in last.texts}:
        y, x, line, panel = max(limits, key=lambda found: found[0])
        place = {"xytext": (-4, -14), "textcoords": "offset points", "ha": "right", "va": "top"}
        panel.annotate(LIMIT, (x, y), color=line.get_color(), fontsize=9, **place)
