"""The experiments' command line: options, one clear line for what is wrong, and exit codes."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from outputs import as_text
from settings import OPTIMIZERS
from stopping import CTRL_C, TERMINATED, Terminated, sigterm_as_interrupt

from tinygrad_steel import RendererNotFound

if TYPE_CHECKING:
    from experiment import Run

# Options for one training
ONE_MODEL = ("save", "plot", "onnx", "page", "load_from", "source", "graph")
LONGEST = 500  # characters of a message
WRONG = 2  # the exit code for what cannot be done as it was given


class Parser(argparse.ArgumentParser):
    """One that says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.fail(f"{message} (--help lists the options)")

    def fail(self, message: object, code: int = WRONG) -> NoReturn:
        """End with this message as one line, whatever is in it."""
        text = str(message)
        if isinstance(message, OSError) and message.filename and message.strerror:
            text = f"{message.filename}: {message.strerror}"
        if len(text) > LONGEST:
            text = f"{text[: LONGEST - 100]} ... {text[-95:]}"
        line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
        drop_output()
        self.exit(code, f"{self.prog}: {line}\n")


def whole(text: str) -> int:
    """A whole number of at most 18 digits."""
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        raise argparse.ArgumentTypeError(f"a whole number, not {text[:40]!r}")
    return int(text)


def rate(text: str) -> float:
    """A number, as it is written in English and in Python."""
    try:
        if "_" in text or not text.isascii():
            raise ValueError
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"a number, not {text[:40]!r}") from None


def widths(text: str) -> tuple[int, ...]:
    """`12,6,4` as numbers; nothing is none."""
    try:
        return tuple(whole(part.strip()) for part in text.split(",")) if text.strip() else ()
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            f"widths are whole numbers with commas, as in 12,6,4, not {text[:40]!r}"
        ) from None


def file(text: str) -> str:
    """The name of a file."""
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError(f"the name of a file, not {text[:40]!r}")
    return text


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """Options that mean the same for one training and for many."""
    add = parser.add_argument
    add("--epochs", type=whole, default=10, metavar="N", help="rounds of training (default 10)")
    add("--batch-size", type=whole, default=10, metavar="N", help="rows a step (default 10)")
    first = "first weights: normal(0, 0.003) or (0, sqrt(2/inputs))"
    add("--init", choices=["book", "he"], default="book", help=first)
    scaled = "inputs to mean 0 and deviation 1, by the training rows"
    add("--standardize", action="store_true", help=scaled)
    equal = "repeat training rows of the rarer class until both are equal (pulsar)"
    add("--balance", action="store_true", help=equal)
    add("--optimizer", choices=[*OPTIMIZERS], default="sgd", help="default sgd; momentum is 0.9")
    where = "a file, a folder, 'uci' or 'synthetic' (default: looked for, then downloaded)"
    add("--data", type=file, help=where)
    add("--compiled", action="store_true", help="run whole epochs in machine code")


def parser_for(description: str | None, choices: dict[str, list[str]]) -> Parser:
    """A parser for one experiment."""
    parser = Parser(description=description)
    add_training_options(parser)
    add = parser.add_argument
    for name, options in choices.items():
        add(f"--{name}", choices=options, default=options[0], help=f"default {options[0]}")
    layers = "widths of hidden layers, with relu (default none)"
    add("--hidden", type=widths, default=(), metavar="12,6,4", help=layers)
    add_output_options(parser)
    return parser


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Options of all experiments: seeds, what is said, what comes out, what is shown instead."""
    add = parser.add_argument
    add("--learning-rate", type=rate, default=0.001, metavar="RATE", help="default 0.001")
    add("--seed", type=whole, default=1234, metavar="N", help="of weights and shuffling, 1234")
    several = "train with so many seeds, from --seed on; mean and spread of their figures"
    add("--seeds", type=whole, default=1, metavar="N", help=several)
    lines = "epochs from one line to the next, 0 for none (default 1)"
    add("--report", type=whole, default=1, metavar="N", help=lines)
    more = "more figures of the test rows: F1 and the like, or a confusion matrix"
    add("--metrics", action="store_true", help=more)
    curves = "curves of loss and accuracy (.png, .svg, .pdf; needs matplotlib)"
    add("--plot", type=file, metavar="FILE", help=curves)
    seen = "a page to step through: the first batch, before and after each epoch (.html)"
    add("--page", type=file, metavar="FILE", help=seen)
    add("--open", action="store_true", dest="open_page", help="show that page in a browser")
    add("--save", type=file, metavar="FILE", help="keep the trained model (.npz)")
    often = "write it every N epochs, too, so that no more is lost"
    add("--save-every", type=whole, default=0, metavar="N", help=often)
    add("--onnx", type=file, metavar="FILE", help="export the trained model (needs onnx)")
    kept = "go on from a kept model as if never stopped, for --epochs more"
    add("--load", type=file, metavar="FILE", dest="load_from", help=kept)
    add("--quiet", action="store_true", help="no progress bar (there is none without a terminal)")
    on = "train on when the loss is not finite"
    add("--keep-going", action="store_false", dest="check_loss", help=on)
    add("--source", action="store_true", help="print the backprop instead of training")
    drawn = "draw the loss (.svg, .png, .pdf, .dot, .txt) instead of training"
    add("--graph", type=file, metavar="FILE", help=drawn)
    views = ["forward", "backward", "both"]
    add("--view", choices=views, default="forward", help="of --graph (default forward)")


def main(execute: Callable[..., Run], description: str | None, **choices: list[str]) -> None:
    """Run an experiment from the command line; `choices` are options of its own, each by default its first."""
    parser = parser_for(description, choices)
    run_parsed(parser, execute, vars(parser.parse_args()))


def run_parsed(parser: Parser, execute: Callable[..., Run], given: dict[str, Any]) -> None:
    """Run an experiment with options as they were parsed."""
    seeds = given.pop("seeds")
    if seeds < 1:
        parser.fail(f"seeds are at least 1, not {seeds}")
    single = [name for name in ONE_MODEL if given[name]]
    if seeds > 1 and single:
        parser.fail(f"--seeds trains {seeds} models: without --{single[0].replace('_from', '')}")
    counts = [given.pop(name) for name in ("epochs", "batch_size", "report")]

    def train() -> str:
        if seeds > 1:
            return train_seeds(execute, counts, given, seeds)
        return execute(*counts, explain=True, **given).stopped

    stopped = run_safely(parser, train)
    if stopped:  # so that what depends on the whole training does not begin
        sys.exit(TERMINATED if stopped == "SIGTERM" else CTRL_C)


def run_safely(parser: Parser, do: Callable[[], Any]) -> Any:
    """What `do` returns; one line and an exit code for what cannot be done, and for Ctrl-C and SIGTERM."""
    prepare_console()
    try:
        with sigterm_as_interrupt():
            return do()
    except (ValueError, OSError, ImportError, MemoryError, RendererNotFound, ArithmeticError) as e:
        parser.fail(e)
    except Terminated:
        parser.fail("stopped by SIGTERM", TERMINATED)
    except KeyboardInterrupt:
        parser.fail("stopped by Ctrl-C", CTRL_C)


def drop_output() -> None:
    """Where nobody takes the lines any more, or no disk: be silent about it when Python ends, too."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def prepare_console() -> None:
    """Each line at once, through a pipe as well; "?" for what a console cannot show."""
    if sys.stdout is not None:
        sys.stdout.reconfigure(line_buffering=True, errors="replace")


def train_seeds(
    execute: Callable[..., Run], counts: list[int], given: dict[str, Any], seeds: int
) -> str:
    """Train once for each seed; say its figures, at last means and spreads; by what it was stopped."""
    epochs, batch_size, _ = counts
    found: dict[str, list[float]] = {}
    for seed in range(given["seed"], given["seed"] + seeds):
        run = execute(epochs, batch_size, 0, **{**given, "seed": seed, "say": silent})
        synthetic = run.dataset.synthetic
        if synthetic and not found:
            print(synthetic)
        if run.stopped:
            print(f"stopped by {run.stopped} in the training with seed {seed}")
            return run.stopped
        figures = {"accuracy": run.test_accuracy, **run.figures()}
        print(f"seed {seed}: {as_text(figures)}")
        for name, value in figures.items():
            found.setdefault(name, []).append(value)
    for name, values in found.items():
        mean, spread = np.mean(values), np.std(values)
        print(f"{name} of {seeds} seeds = {mean:5.3f} {plus_minus()} {spread:5.3f}")
    if synthetic:
        print(synthetic)
    return ""


def silent(*_: Any, **__: Any) -> None:
    """Say nothing."""


def plus_minus() -> str:
    """The sign, in ASCII where the console has no other."""
    return "±" if "±".encode(sys.stdout.encoding, "replace") != b"?" else "+-"
