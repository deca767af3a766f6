"""Reasons that are not exact yet: how good each is, by mistake.

`vague`: right, but less precise than it could be, or without the place; `unexplained`: numbers
alone; `misleading`: something else than the mistake. A reason that is none of what is told by
itself was read, and the words by which it is known are given. A mistake that has become exact has
to leave this list, and a reason that has changed is to be read again.
"""

ALL = {
    "the decay of the weights but for the bias is broadcast over the bias too": ("unexplained", ""),
    "sigmoid of one minus the sigmoid of the gradient": ("unexplained", ""),
    "the count of the margins is assigned to the right class, and not subtracted there": (
        "unexplained",
        "",
    ),
    "missing parentheses: the gradient is multiplied with the 1 alone": ("unexplained", ""),
    "np.dot for the product with the derivative, and for the square in it": ("unexplained", ""),
    "the gradient of the bias is the sum of the rows of the weights' gradient": ("unexplained", ""),
    "the input where the derivative has the result, and p - 1 for 1 - p": ("unexplained", ""),
    "softmax is added to the gradient, without its sum": ("unexplained", ""),
    "the penalty itself for its derivative": ("unexplained", ""),
    "x for 0 on the negative side of relu's derivative": ("unexplained", ""),
    "ELU's derivative adds its factor to the input, and not to the output": ("unexplained", ""),
    "1 + y, which is ELU's derivative for a factor of 1 alone": ("unexplained", ""),
    "x ** 3 is differentiated for 3 ** x": ("unexplained", ""),
    "assigned where equal samples have to be added": ("unexplained", ""),
}

LEAVES = {
    "the decay of the weights but for the bias is broadcast over the bias too": ("unexplained", ""),
    "sigmoid of one minus the sigmoid of the gradient": ("unexplained", ""),
    "the count of the margins is assigned to the right class, and not subtracted there": (
        "unexplained",
        "",
    ),
    "one sum over the errors of all classes for each of the biases": ("unexplained", ""),
    "missing parentheses: the gradient is multiplied with the 1 alone": ("unexplained", ""),
    "np.dot for the product with the derivative, and for the square in it": ("unexplained", ""),
    "the gradient of the bias is the sum of the rows of the weights' gradient": ("unexplained", ""),
    "the input where the derivative has the result, and p - 1 for 1 - p": ("unexplained", ""),
    "softmax is added to the gradient, without its sum": ("unexplained", ""),
    "the penalty itself for its derivative": ("unexplained", ""),
    "x for 0 on the negative side of relu's derivative": ("unexplained", ""),
    "ELU's derivative adds its factor to the input, and not to the output": ("unexplained", ""),
    "1 + y, which is ELU's derivative for a factor of 1 alone": ("unexplained", ""),
    "x ** 3 is differentiated for 3 ** x": ("unexplained", ""),
    "the mask is read off the values: what was 0 before counts as kept": ("vague", ""),
    "assigned where equal samples have to be added": ("unexplained", ""),
}

NOT_YET = {"all intermediates": ALL, "leaves alone": LEAVES}
