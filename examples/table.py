"""Your own table: `table.py data.csv --target price` trains a perceptron on a CSV file, and tests it beside a baseline.

With `--predict new.csv --load model.npz`, a model kept by `--save` says what the target is in the rows of another file.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
from collections.abc import Callable
from typing import Any

import outputs
from command_line import (
    ONE_MODEL,
    Parser,
    add_output_options,
    file,
    run_parsed,
    run_safely,
    whole,
    widths,
)
from experiment import Run, train
from settings import OPTIMIZERS, Settings
from table_columns import Choices
from table_file import FOUND_OUT, Form, listed, read_table
from table_numbers import MISSING, Numbers
from table_predict import predict
from table_prepare import prepare_again, prepare_table
from table_tasks import experiment_of, say_result

BATCH = 32  # rows a step, where there are so many


def table_exec(
    epoch_count: int = 50,
    mb_size: int | None = None,
    report: int = 1,
    *,
    data: str,
    choices: Choices,
    form: Form = FOUND_OUT,
    decimal: str | None = None,
    marks: tuple[str, ...] | None = None,
    compare: bool = False,
    tell: Callable[[str], None] | None = None,
    **options: Any,
) -> Run:
    """Train on a table and report; further options as in `Settings`.

    `tell` is told what was found in the table, `say` by default. Raises ValueError, OSError and
    ImportError, in one line, for what is no table, or does not say what it is.
    """
    settings = Settings(
        epoch_count, 1 if mb_size is None else mb_size, report, data=data, **options
    )
    outputs.check(settings)  # before a long table is read
    if compare and importlib.util.find_spec("sklearn") is None:
        raise ImportError('compare needs scikit-learn: pip install "tinygrad_steel[sklearn]"')
    say = settings.say
    table = read_table(data, form)
    if settings.load_from is None:
        choices.check(table)
        table = table.only({*table.names} - {*choices.ignore})
        numbers = Numbers(table, decimal, marks or MISSING)
        prepared = prepare_table(table, numbers, choices, settings.seed)
    else:
        prepared = prepare_again(table, settings.load_from)
    if not settings.instead_of_training:
        for line in prepared.says:
            (tell or say)(line)
        if settings.compiled and importlib.util.find_spec("numba") is None:
            say(
                "numba is not installed: NumPy calls instead of machine code, which is faster "
                "(pip install 'tinygrad_steel[jit]')"
            )
    dataset, target = prepared.dataset, prepared.recipe.target
    training = len(dataset.x) - len(dataset.test)
    batch = min(BATCH, training) if mb_size is None else mb_size
    run = train(experiment_of(target), epoch_count, batch, report, data=dataset, **options)
    if not settings.instead_of_training:
        say_result(run, target, compare and not run.stopped)
        if settings.onnx is not None:
            say(f"{settings.onnx} takes x: {listed(prepared.recipe.names, 20)}")
    return run


def parser_for_tables() -> Parser:
    """The options of this script."""
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add("data", type=file, nargs="?", metavar="data.csv", help="the table to learn from")
    add("--target", metavar="NAME", help="the column to learn")
    tasks = ["regression", "classes"]
    add("--task", choices=tasks, help="what the target is (default: found out, and said)")
    rule = "leave out rows with missing values, or take the training rows' means (default refuse)"
    add("--missing", choices=["refuse", "drop", "mean"], help=rule)
    marks = f"what means missing besides an empty field (default {','.join(MISSING)})"
    add("--marks", type=texts, metavar="NA,?", help=marks)
    for name, what in [
        ("ignore", "columns to leave out"),
        ("numbers", "columns to be taken for numbers"),
        ("categories", "columns to be taken for categories, one-hot"),
    ]:
        add(f"--{name}", nargs="+", action="extend", default=[], metavar="NAME", help=what)
    add("--encoding", help="of the file, such as cp949 (default: found out, and said)")
    add("--separator", type=separator, help="one character, or tab (default: found out, and said)")
    add("--decimal", choices=[".", ","], help="the decimal sign (default: found out)")
    add("--header", choices=["first", "none"], help="whether the first row has the names")
    add("--epochs", type=whole, default=50, metavar="N", help="rounds of training (default 50)")
    rows = f"rows a step (default {BATCH}, or all there are)"
    add("--batch-size", type=whole, metavar="N", help=rows)
    layers = "widths of hidden layers, with relu (default 64,32)"
    add("--hidden", type=widths, default=(64, 32), metavar="12,6,4", help=layers)
    first = "first weights: normal(0, 0.003) or (0, sqrt(2/inputs)) (default he)"
    add("--init", choices=["book", "he"], default="he", help=first)
    add("--optimizer", choices=[*OPTIMIZERS], default="adam", help="default adam")
    equal = "repeat training rows of the rarer class until both are equal"
    add("--balance", action="store_true", help=equal)
    add("--eager", dest="compiled", action="store_false", help="without machine code")
    add("--compare", action="store_true", help="scikit-learn's network of the same size beside it")
    new = "say what the target is in the rows of another file, by the model of --load"
    add("--predict", type=file, metavar="new.csv", help=new)
    add("--out", type=file, metavar="FILE", help="write what --predict says into a CSV file")
    add_output_options(parser)
    return parser


def texts(given: str) -> tuple[str, ...]:
    """`NA,?` as texts."""
    return tuple(given.split(","))


def separator(given: str) -> str:
    """One character; "tab" is one."""
    found = {"tab": "\t", "\\t": "\t"}.get(given, given)
    if len(found) != 1 or found in '\r\n"':
        raise argparse.ArgumentTypeError(f"one character, or tab, not {given[:40]!r}")
    return found


def main() -> None:
    """Run this script from the command line."""
    parser = parser_for_tables()
    given = vars(parser.parse_args())
    form = Form(*(given.pop(name) for name in Form._fields))
    reading = {"form": form, **{name: given.pop(name) for name in ("decimal", "marks")}}
    named = {name: given.pop(name) for name in Choices._fields}
    new, out = given.pop("predict"), given.pop("out")
    if new is not None:
        refuse_training(parser, given)
        do = functools.partial(predict, new, given["load_from"], out, named["missing"], **reading)
        run_safely(parser, do)
        return
    if given["data"] is None or out is not None:
        parser.error(
            "--out is for --predict" if out else "a table to learn from is needed, data.csv"
        )
    if given["load_from"] is not None and any(named.values()):
        parser.error(
            "with --load, the model says what the columns are: without --target and the like"
        )
    if given["compare"] and given["seeds"] > 1:
        parser.error("--compare says something of one training: without --seeds")
    named["missing"] = named["missing"] or "refuse"
    choices = Choices(**named)
    found = {"choices": choices, "tell": once_each(print), **reading}
    execute = functools.partial(table_exec, standardize=True, **found)
    run_parsed(parser, execute, given)


def once_each(say: Callable[[str], None]) -> Callable[[str], None]:
    """What says a line unless it has been said: trainings with several seeds find the same in a table."""
    said: set[str] = set()

    def tell(line: str) -> None:
        if line not in said:
            said.add(line)
            say(line)

    return tell


def refuse_training(parser: Parser, given: dict[str, Any]) -> None:
    """End where something is asked for that only a training gives."""
    if given["load_from"] is None:
        parser.error("--predict needs a model: --load model.npz")
    for name in ("data", "compare", *ONE_MODEL):
        if given[name] and name != "load_from":
            parser.error(
                f"--predict trains nothing: without {name if name == 'data' else '--' + name}"
            )


if __name__ == "__main__":
    main()
