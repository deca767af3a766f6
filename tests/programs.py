"""Random programs in NumPy terms, and their losses and gradients against an independent oracle, HIPS autograd."""

from __future__ import annotations

# Templates of one line each, by family. A word in braces is a method of Program: it picks or makes an operand or an
# argument, and stands for the same one throughout a line.
STEPS: dict[str, tuple[str, ...]] = {
    "add": ("{a} + {b}", "{num} + {a}", "{a} + {a}", "np.add({b}, {a})"),
    "subtract": ("{a} - {b}", "{num} - {a}", "np.subtract({a}, {b})"),
    "multiply": ("{a} * {b}", "{num} * {a}", "{a} * {a}", "np.multiply({b}, {a})"),
    "divide": ("{a} / {b}", "{num} / {b}", "np.divide({a}, {b})"),
    "negative": ("-{a}", "np.negative({a})"),
    "power": ("{pos} ** {num}", "{pos} ** {b}", "np.power({pos}, {b})", "1.3 ** {near}", "{a} ** 2", "{near} ** 3"),
    **{f: (f"np.{f}({{near}})",) for f in "exp expm1 sin cos sinh cosh tanh arctan square".split()},
    **{f: (f"np.{f}({{pos}})",) for f in "log log2 log10 log1p sqrt reciprocal".split()},
    "logaddexp": ("np.logaddexp({a}, {b})",),
    "abs": ("np.abs({a})", "abs({a})"),
    "maximum": ("np.maximum({a}, {b})",),
    "minimum": ("np.minimum({a}, {b})",),
    "clip": ("np.clip({a}, {num} - 0.5, {num} + 0.5)", "{a}.clip({num} - 0.5, {num} + 0.5)"),
    "where": ("np.where({a} > {num}, {a}, {b})", "np.where({a} <= {num}, {b}, 0.5)", "np.where({mask}, {a}, {same})"),
    "relu": ("relu({a})",),
    "sigmoid": ("sigmoid({near})", "1 / (1 + np.exp(-{near}))"),
    "softmax": (
        "softmax({near}, axis={axis})",
        "np.exp({near}) / np.sum(np.exp({near}), axis={axis}, keepdims=True)",
        "np.exp({near} - np.max({near}, axis={axis}, keepdims=True)) / np.exp({near}).sum(axis={axis}, keepdims=True)",
    ),
    "log_softmax": (
        "log_softmax({near}, axis={axis})",
        "{near} - np.log(np.sum(np.exp({near}), axis={axis}, keepdims=True))",
    ),
    "logsumexp": ("logsumexp({near}, axis={axis})", "np.log(np.exp({near}).sum(axis={axis}))"),
    **{f: (f"np.{f}({{a}}, {{axes}})", f"{{a}}.{f}({{axes}})") for f in "sum mean max min prod".split()},
    **{f: (f"np.{f}({{v}}, {{axes}})", f"np.{f}({{a}}, axis=None)", f"{{v}}.{f}({{axes}})") for f in ("var", "std")},
    "norm": ("np.linalg.norm({a})", "np.linalg.norm({a}, axis={axis})"),
    "cumsum": ("np.cumsum({v}, axis={axis})",),
    "matmul": ("{v} @ {right}", "{left} @ {v}", "np.matmul({v}, {right})"),
    "dot": ("np.dot({v}, {flat})", "np.outer({v}, {flat})"),
    "einsum": ("np.einsum({letters})",),
    "reshape": ("np.reshape({a}, {shape})", "{a}.reshape({shape})", "np.ravel({a})"),
    "transpose": ("np.transpose({a})", "{v}.T", "np.transpose({v}, {order})", "np.moveaxis({v}, {axis}, {other})"),
    "swapaxes": ("np.swapaxes({v}, {axis}, {other})", "{v}.swapaxes({axis}, {other})"),
    "expand_dims": ("np.expand_dims({a}, 0)", "np.expand_dims({v}, ({axis}, {axis} + {axis} // 9))"),
    "squeeze": ("np.squeeze({thin})", "np.squeeze(np.sum({v}, axis={axis}, keepdims=True), {axis})"),
    "broadcast_to": ("np.broadcast_to({a}, {wide})",),
    "flip": ("np.flip({v}, {axis})", "np.flip({a})"),
    "index int": ("{v}[{ints}]",),
    "index slice": ("{v}[{slices}]",),
    "index array": ("{v}[{take}]", "{v}[{take}, ...]", "{v}[..., {take_last}]", "{v}[{pairs}]", "{v}[{mask}]"),
    "concatenate": ("np.concatenate([{v}, {beside}], axis={axis})", "np.concatenate([{v}, {v}, {same}], axis={axis})"),
    "stack": ("np.stack([{a}, {same}])", "np.stack([{v}, {same}], axis={axis})", "np.vstack([{v}, {same}])"),
    "split": ("np.split({even}, 2)[1]",),
}
LOSSES: dict[str, tuple[str, ...]] = {
    "mean square": ("np.mean(np.square({a} - {num}))", "np.mean(({a} - {same}) ** 2)", "np.mean(np.square({a}))"),
    "softmax cross entropy": (
        "-np.mean(np.sum({onehot} * ({logits} - np.log(np.sum(np.exp({logits}), axis=1, keepdims=True))), axis=1))",
        "-np.sum({onehot} * log_softmax({logits}))",
        "np.mean(softmax_cross_entropy({logits}, {onehot}))",
        "np.mean(softmax_cross_entropy({logits}, {ids}))",
        "np.sum(softmax_cross_entropy({logits}, softmax({soft})))",
    ),
    "sigmoid cross entropy": (
        "np.mean(np.maximum({near}, 0) - {near} * {binary} + np.log1p(np.exp(-np.abs({near}))))",
        "np.mean(sigmoid_cross_entropy({near}, {binary}))",
        "np.sum(sigmoid_cross_entropy({near}, sigmoid({same})))",
    ),
}
# What must be away from 0 for a line of the family to be away from its ties, kinks and poles, for every template.
GUARDS = {
    **dict.fromkeys(("abs", "relu", "prod"), "{a}"),
    **dict.fromkeys(("maximum", "minimum"), "{a} - {b}"),
    "divide": "{b}",
    "clip": "np.abs({a} - {num}) - 0.5",
    "where": "{a} - {num}",
    "max": "gap({a}, {axes})",
    "min": "gap(-{a}, {axes})",
    "norm": "np.square({a})",
    "std": "spread({a}, {axes})",
    "sigmoid cross entropy": "{near}",
}
