"""Reasons that are not exact yet: how good each is, by mistake.

`vague`: right, but less precise than it could be, or without the place; `unexplained`: numbers
alone; `misleading`: something else than the mistake. A reason that is none of what is told by
itself was read, and the words by which it is known are given. A mistake that has become exact has
to leave this list, and a reason that has changed is to be read again.
"""

ALL: dict[str, tuple[str, str]] = {}

LEAVES = {
    "the threshold is on the difference, and not on its size": ("vague", ""),
    "one sum over the errors of all classes for each of the biases": ("unexplained", ""),
    "the mask is read off the values: what was 0 before counts as kept": ("vague", ""),
    "1 / (1 - h * h): divided by tanh's derivative, without what came": ("unexplained", ""),
    "the gradient of the next step's state is not sent back to this step's": ("unexplained", ""),
    "the cell gets the gradient of the next step, and not that of its own output": ("vague", ""),
    "the state before the step, for tanh's derivative at the state after it": ("unexplained", ""),
    "the state of the next step sends nothing back": ("vague", "through x1 @ Wo is missing"),
    "the gradient of the normalized values, divided by the deviation, is all": ("vague", ""),
}

NOT_YET = {"all intermediates": ALL, "leaves alone": LEAVES}
