"""Reasons that are not exact yet and were read: how good each is, and the words by which it is
known.

A reason that has become exact has to leave this list, and one that has changed is to be read again.
"""

ALL = {
    "1 / m in the hidden layer's errors too": ("misleading", "the number of classes 9"),
    "the errors are the sums of the formula, without a mean": (
        "misleading",
        "the batch size 3 instead of divided by it",
    ),
    "the backward does not know the slope, and takes the usual one": (
        "vague",
        "20 times too small",
    ),
    "the gradient of a clip is the square of what came": ("misleading", "G_s in place of z2"),
    "mask and scale are thought to be in what comes already": ("vague", "the numbers of G_h"),
    "the scale is the share that is dropped, and not the one that is kept": (
        "misleading",
        "the number of classes 2 instead of divided by it",
    ),
    "multiplied with the scale that it has to be divided by": (
        "misleading",
        "not divided by the number of classes 4",
    ),
}

LEAVES = {
    **ALL,
    "the gradient of the first weights takes that of the activation, not of the sum": (
        "misleading",
        "from a fault at G_z1",
    ),
    "the hidden errors come from the output errors, not from the output deltas": (
        "misleading",
        "from a fault at G_z2",
    ),
    "2 * (t - o) * o for the derivative of (t - o) ** 2": ("vague", "the factor l2 is there twice"),
    "the gradient of the weights is computed with the gradient before the activation": (
        "misleading",
        "from a fault at G_z2",
    ),
    "mask and scale are thought to be in what comes already": ("vague", "G_h in place of G_a"),
    "the gradient of the denominator is not summed over the classes": ("vague", "the diagonal of"),
    "the state of the next step sends nothing back": ("vague", "through x1 @ Wo is missing"),
}

NOT_YET = {"all intermediates": ALL, "leaves alone": LEAVES}
