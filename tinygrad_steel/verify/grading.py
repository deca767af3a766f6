"""For graders: `assert_backprop` in a test, `grade_backprop` for many submissions in one table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Never

from ..engine.tensor import Tensor
from ..program.given_names import Names
from .codes import Code
from .compare import compare_backprop
from .conventions import declared
from .fields import with_words
from .report import Report, as_html, as_table

HEAD = ("submission", "right", "first wrong", "line", "faults", "reason")


def assert_backprop(
    loss: Tensor,
    names: Names = None,
    *others: Never,
    backprop: Any = None,
    convention: str | Iterable[str] = (),
    strict: bool = True,
    **manual: Any,
) -> Report:
    """Fail a test where a chain of gradients is not right in every step.

    Parameters
    ----------
    loss : Tensor
        The loss, of one element, as for `loss.backward()`.
    names : dict, optional
        Variable names for Tensors without a name, such as `locals()`.
    backprop : callable or str, optional
        Code of one's own that computes gradients, as for `compare_backprop`.
    convention : str or tuple of str, optional
        In what all of the gradients may differ from the graph's, as for `compare_backprop`.
    strict : bool
        Whether the gradients of leaves must be able to take the place of the graph's, unless a
        convention is declared, as for `Report.raise_if_wrong`.
    **manual : array_like
        `G_name=array`: gradients that were computed already, as for `compare_backprop`.

    Returns
    -------
    Report
        Of a chain that is right.

    Raises
    ------
    GradientError
        An AssertionError with the report as its message, where a gradient is wrong, was not seen or
        could not be judged.
    RuntimeError, TypeError, ValueError
        As `compare_backprop` does.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import Tensor, assert_backprop
    >>> x = Tensor([1.0, 2.0], requires_grad=True, name="x")
    >>> def test_the_square():
    ...     assert_backprop(np.sum(np.square(x)), G_x=2 * x.numpy())
    >>> test_the_square()
    """
    __tracebackhide__ = True  # pytest shows the line of the test instead
    report = compare_backprop(
        loss, names, *others, backprop=backprop, convention=convention, **manual
    )
    report.raise_if_wrong(strict)
    return report


@with_words
class Grade(NamedTuple):
    """What was found in one submission: a report, or what its code has raised.

    Attributes
    ----------
    submission : str
        Its name.
    report : Report or None
        What `compare_backprop` found, without the arrays; None where the code has raised something.
    error : BaseException or None
        What the code has raised.

    Examples
    --------
    >>> from tinygrad_steel import Tensor, grade_backprop
    >>> def problem():
    ...     x = Tensor([1.0, 2.0], requires_grad=True)
    ...     return (x * 3).sum(), {"x": x}, (x.numpy(),)
    >>> grade = grade_backprop(problem, {"Ada": lambda x: x[5]})["Ada"]
    >>> grade.ok, grade.faults, type(grade.error).__name__
    (False, ('raised',), 'IndexError')
    """

    submission: str
    report: Report | None
    error: BaseException | None = None

    @property
    def ok(self) -> bool:
        """Whether every gradient was judged and is right, and returned, kept or used."""
        return self.report is not None and self.report.ok and self.report.is_kept

    @property
    def faults(self) -> tuple[Code, ...]:
        """What is wrong first, as codes; ("raised",) where the code has raised something."""
        if self.report is None:
            return ("raised",)
        return self.report.faults if self.ok or not self.report.ok else ("missing-gradient",)

    def row(self) -> tuple[str, ...]:
        """Its row in the table, cell by cell."""
        faults = ", ".join(self.faults)
        if self.report is None:
            return (str(self.submission), "no", "-", "-", faults, said(self.error))
        wrong, right = self.report.first_wrong, "yes" if self.ok else "no"
        if wrong is None:
            said_of_it = self.report.agreed() if self.ok else self.report.besides()
            besides = " ".join(said_of_it if self.report.ok else self.report.summary())
            return (str(self.submission), right, "-", "-", faults or "-", besides or "-")
        line = str(wrong.where or "-")
        return (str(self.submission), right, wrong.called, line, faults, wrong.reason)

    def to_dict(self) -> dict[str, Any]:
        """What was found in numbers, texts, lists and dicts alone, as for JSON."""
        found = {"submission": self.submission, "ok": self.ok, "faults": [*self.faults]}
        if self.report is None:
            return found | {"error": said(self.error)}
        return found | {"report": self.report.to_dict()}


class Grades:
    """What was found in many submissions: print it, go over it, or ask for one by its name.

    Attributes
    ----------
    grades : list of Grade
        One for each submission, in their order.

    Examples
    --------
    >>> from tinygrad_steel import Tensor, grade_backprop
    >>> def problem():
    ...     x = Tensor([1.0, 2.0], requires_grad=True)
    ...     return (x * 3).sum(), {"x": x}, (x.numpy(),)
    >>> grades = grade_backprop(problem, {"Ada": lambda x: 0 * x + 3, "Emil": lambda x: 0 * x - 3})
    >>> print(grades.summary())
    1 of 2 are right; sign 1.
    >>> grades["Emil"].ok, [grade.ok for grade in grades]
    (False, [True, False])
    """

    def __init__(self, grades: list[Grade]):
        self.grades = grades

    def __iter__(self) -> Iterator[Grade]:
        return iter(self.grades)

    def __len__(self) -> int:
        return len(self.grades)

    def __getitem__(self, submission: str) -> Grade:
        """Give the grade of one submission by its name; KeyError for a name that there is not."""
        for grade in self.grades:
            if grade.submission == submission:
                return grade
        raise KeyError(submission)

    def to_dict(self) -> list[dict[str, Any]]:
        """What was found in numbers, texts, lists and dicts alone, as for JSON or a data frame."""
        return [grade.to_dict() for grade in self]

    def rows(self) -> list[tuple[str, ...]]:
        """The table that it prints, row by row, each a tuple of its cells."""
        return [HEAD, *(grade.row() for grade in self)]

    def summary(self) -> str:
        """A sentence: how many are right, and which faults come first how often."""
        faults = Counter(code for grade in self for code in grade.faults[:1])
        often = ", ".join(f"{code} {n}" for code, n in faults.most_common())
        right = sum(grade.ok for grade in self)
        return f"{right} of {len(self)} are right{'; ' if often else ''}{often}."

    def __str__(self) -> str:
        return "\n".join([*as_table(self.rows()), self.summary()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return as_html(self.rows(), [self.summary()])


def grade_backprop(
    problem: Callable[[], tuple[Any, ...]],
    submissions: Mapping[str, Callable[..., Any]],
    convention: str | Iterable[str] = (),
) -> Grades:
    """Compare many people's code with one graph, and put what is found into a table.

    Each submission gets a graph and arrays of its own, so that none sees what another one has
    changed. But it runs in this process, and may do what this process may: for code of people whom
    you do not trust, or code that may never end, put a container with a time limit around all of it.

    Parameters
    ----------
    problem : callable
        Makes the loss, the names of its Tensors and what a submission is called with, as
        `return loss, locals(), (x, y, W)`; called once for each submission.
    submissions : dict
        Name -> function that computes the gradients, as `compare_backprop` takes it in
        `backprop=`, but called with what the problem says.
    convention : str or tuple of str, optional
        In what all of the gradients may differ from the graph's, as for `compare_backprop`. Where a
        submission is right by a convention that is not declared, its row says so.

    Returns
    -------
    Grades
        Print it, go over it, or `to_dict()`. Nothing is raised over a submission: what its code
        raises, SystemExit too, is in its row.

    Raises
    ------
    TypeError
        For submissions that are no dict, and for a problem that gives back something else. What the
        problem itself raises comes through.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_steel import Tensor, grade_backprop
    >>> def problem():
    ...     x, y = np.array([[1.0], [2.0]]), np.array([[3.0], [5.0]])
    ...     W = Tensor([[1.0]], requires_grad=True)
    ...     loss = np.mean(np.square(x @ W - y))
    ...     return loss, {"W": W}, (x, y, W.numpy())
    >>> def right(x, y, W):
    ...     return 2 * x.T @ (x @ W - y) / len(x)
    >>> def forgets_the_mean(x, y, W):
    ...     dW = 2 * x.T @ (x @ W - y)
    ...     return dW
    >>> grades = grade_backprop(problem, {"Ada": right, "Emil": forgets_the_mean})
    >>> grades["Ada"].ok, grades["Emil"].faults
    (True, ('batch-size',))
    >>> print(grades.summary())
    1 of 2 are right; batch-size 1.
    """
    conventions = declared(convention)
    if not isinstance(submissions, Mapping):
        raise TypeError(
            f"submissions is to be a dict, name -> function, not a {type(submissions).__name__}; of a "
            f"list: {{f.__name__: f for f in submissions}}"
        )
    return Grades([grade(problem, name, code, conventions) for name, code in submissions.items()])


def grade(
    problem: Callable[[], tuple[Any, ...]],
    name: str,
    code: Callable[..., Any],
    conventions: Iterable[str] = (),
) -> Grade:
    """What is found in one submission."""
    made = problem()
    if not isinstance(made, tuple) or len(made) != 3 or not isinstance(made[2], tuple):
        raise TypeError(
            "the problem is to give back the loss, the names and the arguments of a submission, as in "
            "`return loss, {'W': W}, (x, y, W.numpy())`"
        )
    loss, names, arguments = made
    try:
        report = compare_backprop(
            loss, names, backprop=lambda: code(*arguments), convention=conventions
        )
        return Grade(name, without_arrays(report))
    except KeyboardInterrupt:  # the grader's own
        raise
    except BaseException as error:  # of whatever kind: it is that submission's result
        return Grade(name, None, error)


def without_arrays(report: Report) -> Report:
    """A report as a table needs it: the arrays of a whole class fill memory, and the graph that a
    page would show beside them is gone.
    """
    report.steps = [step._replace(array=None) for step in report.steps]
    return report


def said(error: BaseException | None) -> str:
    """An error in one line, with what was added to it."""
    notes = getattr(error, "__notes__", [])
    return " ".join([f"{type(error).__name__}: {error}", *notes]).replace("\n", " ")
