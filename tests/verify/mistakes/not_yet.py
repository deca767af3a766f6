"""Reasons that are not exact yet: how good each is, by mistake.

`vague`: right, but less precise than it could be, or without the place; `unexplained`: numbers
alone; `misleading`: something else than the mistake. A reason that is none of what is told by
itself was read, and the words by which it is known are given. A mistake that has become exact has
to leave this list, and a reason that has changed is to be read again.
"""

ALL: dict[str, tuple[str, str]] = {}

LEAVES = {
    "one sum over the errors of all classes for each of the biases": ("unexplained", ""),
    "the mask is read off the values: what was 0 before counts as kept": ("vague", ""),
}

NOT_YET = {"all intermediates": ALL, "leaves alone": LEAVES}
