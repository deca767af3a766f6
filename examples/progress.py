"""What is said while an experiment trains: a line for an epoch, the bar, advice for a loss that is not finite."""

from __future__ import annotations

import importlib.util
import math
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from experiment import Run


class Progress:
    """The lines of a run's report, and a bar where somebody looks at one."""

    def __init__(self, run: Run):
        self.run, self.settings = run, run.settings
        self.bar, self.print = None, self.settings.say
        if self.settings.explain and self.settings.report and self.settings.epoch_count:
            self.print(explanation(run))
        if not self.settings.quiet and sys.stderr.isatty() and importlib.util.find_spec("tqdm"):
            from tqdm import tqdm  # only for those who train at a terminal

            self.print = tqdm.write
            self.bar = tqdm(
                total=self.settings.epoch_count, unit=" epochs", leave=False, dynamic_ncols=True
            )

    def epoch_done(self) -> None:
        """Say what the last epoch gave."""
        last = self.run.history[-1]
        line = f"loss={last.loss:5.3f}, accuracy={last.accuracy:5.3f}/{last.test_accuracy:5.3f}"
        if self.bar is not None:
            self.bar.set_postfix_str(line, refresh=False)
            self.bar.update()
        if self.settings.report and last.epoch % self.settings.report == 0:
            self.print(f"Epoch {last.epoch}: {line}")

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self.run.stopped:
            epoch, count = self.run.epochs + 1, self.run.epochs_before + self.settings.epoch_count
            where = f"in epoch {epoch} of" if epoch <= count else "after epoch"
            self.print(f"stopped by {self.run.stopped} {where} {count}")
        if self.bar is not None:
            self.bar.close()


def explanation(run: Run) -> str:
    """What the two accuracies of a line are."""
    what = (run.experiment.accuracy.__doc__ or "said by the experiment").rstrip(".")
    rows = f"{len(run.test)} test rows, which are never trained with"
    return f"accuracy=a/b is {what[0].lower()}{what[1:]}: a in training, b on {rows}"


def check_finite(run: Run) -> None:
    """FloatingPointError, with advice, for a loss that is not finite."""
    settings, last = run.settings, run.history[-1]
    if not settings.check_loss or math.isfinite(last.loss):
        return
    raise FloatingPointError(
        f"the loss is {last.loss} in epoch {last.epoch}: "
        f"try a smaller --learning-rate than {settings.learning_rate:g}"
        f"{'' if settings.standardize else ', or --standardize'} (--keep-going trains on)"
    )
