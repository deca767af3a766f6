"""What `help` says of each public name: one sentence, then sections that agree with the signature and the body.

A function, or a class that one makes, has Parameters, Returns, Raises and Examples, in NumPy's form. A method
without arguments needs a sentence alone, and so does a property. What takes what is refused with a word
(`**unknown: Never`) is no parameter. Whether a formula's source is right, nobody can test.

The form is checked by code of our own, not by `numpydoc.validate`: that would bring Sphinx into the tests, knows
nothing of what a body raises, and wants a summary in a single line.
"""

import ast
import builtins
import functools
import inspect
import re
import textwrap
from typing import NamedTuple

import pytest

import tinygrad_steel
from tinygrad_steel.compiled.epoch import Epoch
from tinygrad_steel.compiled.step import Step as CompiledStep
from tinygrad_steel.engine.habits import OtherWords
from tinygrad_steel.verify.bindings import Place
from tinygrad_steel.verify.grading import Grade, Grades
from tinygrad_steel.verify.kept import Applied
from tinygrad_steel.verify.own_source import Source as OwnSource
from tinygrad_steel.verify.report import Report
from tinygrad_steel.verify.report import Step as ReportStep
from tinygrad_steel.written.source import Source as WrittenSource

NAMES = [name for name in tinygrad_steel.__all__ if name != "OPS"]  # a dict
# Classes that nobody makes: they come out of public functions.
GIVEN = [tinygrad_steel.Page, tinygrad_steel.Picture, Report, ReportStep, Place, Applied, OwnSource]
GIVEN += [Grades, Grade, WrittenSource, CompiledStep, Epoch]
ORDER = [
    "Parameters",
    "Attributes",
    "Returns",
    "Yields",
    "Raises",
    "Warns",
    "Notes",
    "References",
    "Examples",
]
ENTRIES = {"Parameters", "Attributes", "Returns", "Yields", "Raises", "Warns"}
SECTION = re.compile(r"^(\S[^\n]*)\n-{3,}$", re.MULTILINE)
ENTRY = re.compile(r"(\*{0,2}\w+(?:, \*{0,2}\w+)*) : (\S.*)")
ERROR = re.compile(r"\b[A-Z]\w*(?:Error|NotFound)\b")
WIDTH = 100


class Doc(NamedTuple):
    """A docstring taken apart: what stands before the sections, and each section's lines."""

    before: str
    sections: dict[str, list[str]]

    @property
    def sentence(self):
        return self.before.partition("\n\n")[0].strip()

    def entries(self, section):
        """The heads of a section, which stand at its left edge, and what is said of each."""
        found = []
        for line in self.sections.get(section, []):
            if line and not line.startswith(" "):
                found.append((line, []))
            elif found:
                found[-1][1].append(line.strip())
        return [(head, " ".join(words).strip()) for head, words in found]


def taken_apart(text):
    before, *rest = SECTION.split(inspect.cleandoc(text))
    return Doc(
        before, {head: body.strip("\n").split("\n") for head, body in zip(rest[::2], rest[1::2])}
    )


def faults_of_form(doc):
    """What any docstring must have."""
    sentence = doc.sentence
    if not sentence:
        return ["says nothing"]
    found = []
    if not sentence.endswith("."):
        found.append(f"the first sentence has no period: {sentence!r}")
    if re.search(r"[.!?] [A-Z]", sentence):
        found.append(f"the first paragraph is more than a sentence: {sentence!r}")
    if sentence.count("\n") > 1 or max(map(len, sentence.split("\n"))) > WIDTH:
        found.append("the first sentence takes more than two lines")
    heads = [*doc.sections]
    found += [
        f"there is no section {head!r} in NumPy's form" for head in heads if head not in ORDER
    ]
    known = [head for head in heads if head in ORDER]
    if known != sorted(known, key=ORDER.index):
        found.append(f"the sections stand in the order {', '.join(known)}")
    for section in ENTRIES & {*heads}:
        found += [
            f"{section} say nothing of {head!r}"
            for head, words in doc.entries(section)
            if not words
        ]
    return found


def parameters_of(thing):
    """The arguments by the names in a docstring, less `self` and what takes what is refused."""
    found = []
    for p in inspect.signature(thing).parameters.values():
        if "Never" not in str(p.annotation) and p.name not in ("self", "cls"):
            stars = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
            found.append(stars + p.name)
    return found


def faults_of_parameters(doc, wanted):
    """Where Parameters are not those of the signature, each with its type, in its order."""
    found, said = [], []
    for head, _ in doc.entries("Parameters"):
        match = ENTRY.fullmatch(head)
        if match is None:
            found.append(f"a parameter is `name : type`, not {head!r}")
        said += re.split(", ", match[1] if match else head.partition(" : ")[0])
    found += [f"{name} is not in Parameters" for name in wanted if name not in said]
    found += [f"{name} is in Parameters, and no argument" for name in said if name not in wanted]
    if not found and said != wanted:
        found.append(f"Parameters stand in the order {', '.join(said)}")
    return found


SIMPLE = {"bool", "int", "float", "str"}


def faults_of_types(doc, thing):
    """Where the type of a parameter is not that of its annotation, of those that anybody knows."""
    said = {}
    for head, _ in doc.entries("Parameters"):
        if match := ENTRY.fullmatch(head):
            said |= {name.strip("*"): match[2] for name in re.split(", ", match[1])}
    found = []
    for p in inspect.signature(thing).parameters.values():
        types = {*inspect.formatannotation(p.annotation).strip("'").split(" | ")}
        text = said.get(p.name, "")
        if not text or not types <= SIMPLE | {"None"}:
            continue
        words = {*re.findall(r"\w+", text)} | ({"str"} if '"' in text else set())
        if words & SIMPLE != types - {"None"}:
            found.append(f"{p.name} is {' or '.join(sorted(types))}, and not {text}")
        if "None" in types and not words & {"optional", "None"}:
            found.append(f"{p.name} may be None, which is not said")
    return found


def raised_by(function):
    """The exceptions that a function's own body raises by their names."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError):  # a ufunc
        return set()
    inner = {
        x
        for n in ast.walk(tree)
        if n is not tree.body[0] and isinstance(n, ast.FunctionDef)
        for x in ast.walk(n)
    }
    raised = (n.exc for n in ast.walk(tree) if isinstance(n, ast.Raise) and n not in inner)
    called = (exc.func if isinstance(exc, ast.Call) else exc for exc in raised)
    names = {exc.id for exc in called if isinstance(exc, ast.Name)}
    return {*filter(is_error, names)}


def is_error(name):
    """Whether this is the name of an exception, Python's own or by its ending."""
    return ERROR.fullmatch(name) or hasattr(builtins, name)


def faults_of_raises(doc, bodies):
    """Where Raises are not names, or lack what a body raises or the words before it speak of."""
    heads = [re.split(", ", head) for head, _ in doc.entries("Raises")]
    said = {name for names in heads for name in names}
    found = [f"Raises names {name!r}, no exception" for name in said if not is_error(name)]
    raised = set().union(*map(raised_by, bodies))
    found += [f"{name} is raised, and not in Raises" for name in sorted(raised - said)]
    spoken = {*ERROR.findall(doc.before)}
    return found + [f"{name} belongs into Raises" for name in sorted(spoken - said - raised)]


def faults_of_examples(doc):
    has_prompt = any(line.startswith(">>> ") for line in doc.sections.get("Examples", []))
    return [] if has_prompt else ["there is no example"]


def gives_back(function):
    annotation = inspect.signature(function).return_annotation
    return annotation not in (None, "None", "Never", inspect.Signature.empty)


def faults_of_function(function, is_method=False):
    """What is wrong with the docstring of a function, of an op, or of a method."""
    doc = taken_apart(inspect.getdoc(function) or "")
    wanted = parameters_of(function)
    body = inspect.unwrap(getattr(function, "forward", function))
    found = faults_of_form(doc) + faults_of_parameters(doc, wanted) + faults_of_raises(doc, [body])
    found += faults_of_types(doc, function)
    if is_method and not wanted:
        return found
    if gives_back(function) and not {"Returns", "Yields"} & {*doc.sections}:
        found.append("there are no Returns")
    return found if is_method else found + faults_of_examples(doc)


def faults_of_class(cls, is_given=False):
    """What is wrong with the docstring of a class; `is_given`: nobody makes one."""
    doc = taken_apart(cls.__doc__ or "")
    found = faults_of_form(doc) + faults_of_examples(doc)
    if issubclass(cls, Exception):
        return found
    makes = vars(cls).get("__init__")
    if is_given:
        found += faults_of_parameters(doc, [])
        found += [] if "Attributes" in doc.sections else ["there are no Attributes"]
    elif makes is not None:
        found += faults_of_parameters(doc, parameters_of(makes)) + faults_of_raises(doc, [makes])
        found += faults_of_types(doc, makes)
    known = attributes_of(cls)
    for head, _ in doc.entries("Attributes"):
        match = ENTRY.fullmatch(head)
        names = re.split(", ", match[1]) if match else []
        found += [] if match else [f"an attribute is `name : type`, not {head!r}"]
        found += [f"there is no attribute {name}" for name in names if name not in known]
    return found


def attributes_of(cls):
    """The names that an object of a class has: those of the class, and what its methods set."""
    found = {*dir(cls)}
    for base in cls.__mro__:
        found |= {*inspect.get_annotations(base)}
        if base.__module__.startswith("tinygrad_steel"):
            tree = ast.parse(textwrap.dedent(inspect.getsource(base)))
            stored = (
                n
                for n in ast.walk(tree)
                if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)
            )
            found |= {
                n.attr for n in stored if isinstance(n.value, ast.Name) and n.value.id == "self"
            }
    return found


def members(cls):
    """What `help` lists of a class, by name: its own methods, properties and slots, those of its bases too."""
    found = {}
    for base in cls.__mro__:
        if base.__module__.startswith("tinygrad_steel") and base is not OtherWords:
            for name, member in vars(base).items():
                if not name.startswith("_") and not isinstance(member, type):
                    found.setdefault(name, member)
    return found


def faults_of_member(cls, name, member):
    """What is wrong with what is said of a method, a property or a slot."""
    if isinstance(member, property | functools.cached_property):
        return faults_of_form(taken_apart(member.__doc__ or ""))
    if inspect.ismemberdescriptor(member):
        return ["a slot that nobody need know has no underscore"]
    found = getattr(cls, name)
    return faults_of_function(found, is_method=True) if inspect.isroutine(found) else []


def public_members():
    classes = [getattr(tinygrad_steel, name) for name in NAMES]
    classes = [x for x in classes if inspect.isclass(x) and not issubclass(x, Exception)] + GIVEN
    found = {(cls, name): member for cls in classes for name, member in members(cls).items()}
    return [pytest.param(*key, x, id=f"{key[0].__name__}.{key[1]}") for key, x in found.items()]


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_says_what_it_is(name):
    thing = getattr(tinygrad_steel, name)
    if inspect.isclass(thing):
        assert faults_of_class(thing, is_given=thing in GIVEN) == []
    elif name == "no_grad":
        assert faults_of_class(type(thing)) == []
    else:
        assert faults_of_function(thing) == []


@pytest.mark.parametrize("cls", GIVEN, ids=lambda cls: f"{cls.__module__}.{cls.__name__}")
def test_a_class_that_is_handed_out_says_what_it_has(cls):
    assert faults_of_class(cls, is_given=True) == []


@pytest.mark.parametrize(("cls", "name", "member"), public_members())
def test_a_member_says_what_it_does(cls, name, member):
    assert faults_of_member(cls, name, member) == []


# The checks themselves, on docstrings that are right and wrong


def good(x: float, *more: float, rate: float = 1.0) -> float:
    """Add numbers up, and multiply the sum by a rate.

    Parameters
    ----------
    x, *more : float
        What is added up.
    rate : float
        By what the sum is multiplied, above 0.

    Returns
    -------
    float
        The product.

    Raises
    ------
    ValueError
        For a rate that is not above 0.

    Examples
    --------
    >>> good(1.0, 2.0, rate=2.0)
    6.0
    """
    if rate <= 0:
        raise ValueError("above 0")
    return rate * (x + sum(more))


# What is replaced in the good docstring, by what, and what is said of it then.
WRONG = {
    "no docstring": (None, "", "says nothing"),
    "no period": ("by a rate.", "by a rate", "no period"),
    "two sentences": ("up, and multiply", "up. Multiply", "more than a sentence"),
    "a sentence of three lines": ("numbers up, and", "numbers\nup,\nand", "more than two lines"),
    "a section that NumPy does not have": ("Raises\n", "Throws\n", "no section 'Throws'"),
    "sections in another order": ("Returns\n", "Examples\n", "in the order"),
    "a parameter left out": (
        "rate : float\n    By what the sum is multiplied, above 0.\n",
        "",
        "rate is not in",
    ),
    "a parameter too many": (
        "rate : float\n",
        "rate, size : float\n",
        "size is in Parameters, and no",
    ),
    "a parameter without a type": ("rate : float\n", "rate\n", "`name : type`, not 'rate'"),
    "a parameter without its stars": ("*more", "more", "*more is not in Parameters"),
    "parameters in another order": ("x, *more", "*more, x", "stand in the order"),
    "another type": ("rate : float\n", "rate : int\n", "rate is float, and not int"),
    "no type that one knows": ("rate : float\n", "rate : size\n", "rate is float, and not size"),
    "a parameter without a word": (
        "    What is added up.\n",
        "",
        "Parameters say nothing of 'x, *more",
    ),
    "no Returns": ("Returns\n-------\nfloat\n    The product.\n", "", "no Returns"),
    "an error that the body raises": (
        "ValueError\n",
        "TypeError\n",
        "ValueError is raised, and not in",
    ),
    "an error in prose": (
        "by a rate.\n",
        "by a rate.\n\nTypeError for text.\n",
        "TypeError belongs into",
    ),
    "no exception": ("ValueError\n", "What sum() raises\n", "'What sum() raises', no exception"),
    "no example": (">>> good", "good", "no example"),
}


def renamed(docstring):
    """The good function with another docstring."""

    @functools.wraps(good)
    def function(*args, **kwargs):
        return good(*args, **kwargs)

    function.__doc__ = docstring
    return function


def test_what_is_right_passes():
    assert faults_of_function(renamed(good.__doc__)) == []


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_does_not(case):
    old, new, said = WRONG[case]
    text = inspect.cleandoc(good.__doc__)
    if old is not None:
        assert text.count(old) == 1
        new = text.replace(old, new)
    found = faults_of_function(renamed(new))
    assert any(said in fault for fault in found), found


class Thing:
    """What has a length.

    Attributes
    ----------
    length : int
        How long it is.

    Examples
    --------
    >>> Thing(3).length
    3
    """

    __slots__ = ("_secret", "length")

    def __init__(self, length):
        self.length, self._secret = length, 1

    def longer(self, by: int) -> int:
        """How long it would be."""
        return self.length + by

    def half(self) -> float:
        """Half its length."""
        return self.length / 2

    @property
    def area(self) -> float:
        return self.length**2


def test_members_of_a_class():
    found = {
        name: faults_of_member(Thing, name, x) for name, x in vars(Thing).items() if name[0] != "_"
    }
    assert found["half"] == []  # neither an argument nor an error: a sentence is enough
    assert found["longer"] == ["by is not in Parameters", "there are no Returns"]
    assert found["area"] == ["says nothing"]
    assert len(found["length"]) == 1


def test_attributes_of_a_class():
    assert faults_of_class(Thing, is_given=True) == []
    assert faults_of_class(Thing) == ["length is not in Parameters"]
    Wrong = type(
        "Wrong", (Thing,), {"__doc__": Thing.__doc__.replace("length : int", "width : int")}
    )
    assert "there is no attribute width" in faults_of_class(Wrong, is_given=True)
