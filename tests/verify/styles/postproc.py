"""Style 3: parameters as globals, a forward that returns aux, and a backprop that takes it."""

import numpy as np

HIDDEN = [5, 4]
BATCH = 6


def init_model(seed=7):
    global pm_hiddens, pm_output
    rng = np.random.default_rng(seed)
    pm_hiddens, previous = [], 3
    for width in HIDDEN:
        pm_hiddens.append(
            {"w": rng.normal(0, 0.6, (previous, width)), "b": rng.normal(0, 0.1, width)}
        )
        previous = width
    pm_output = {"w": rng.normal(0, 0.6, (previous, 2)), "b": rng.normal(0, 0.1, 2)}


def relu(x):
    return np.maximum(x, 0)


def forward_neuralnet(x):
    hidden = x
    hiddens = []
    for pm_hidden in pm_hiddens:
        hiddens.append(hidden)
        hidden = relu(np.matmul(hidden, pm_hidden["w"]) + pm_hidden["b"])
    output = np.matmul(hidden, pm_output["w"]) + pm_output["b"]
    return output, [hidden, hiddens]


def forward_postproc(output, y):
    diff = output - y
    square = np.square(diff)
    loss = np.mean(square)
    return loss, diff


def backprop_postproc(G_loss, diff):
    shape = diff.shape
    g_loss_square = np.ones(shape) / np.prod(shape)
    g_square_diff = 2 * diff
    g_diff_output = 1
    G_square = g_loss_square * G_loss
    G_diff = g_square_diff * G_square
    G_output = g_diff_output * G_diff
    return G_output


def backprop_layer(G_y, x, pm, y=None):
    if y is not None:
        G_y = np.where(y > 0, G_y, 0)
    G_weight = np.matmul(x.transpose(), G_y)
    G_bias = np.sum(G_y, axis=0)
    G_input = np.matmul(G_y, pm["w"].transpose())
    return G_input, {"w": G_weight, "b": G_bias}


def backprop_neuralnet(G_output, aux):
    hidden, hiddens = aux
    G_hidden, G_out = backprop_layer(G_output, hidden, pm_output)
    G_pms = []
    for n in reversed(range(len(pm_hiddens))):
        y = hidden if n == len(pm_hiddens) - 1 else hiddens[n + 1]
        G_hidden, G_pm = backprop_layer(G_hidden, hiddens[n], pm_hiddens[n], y)
        G_pms.insert(0, G_pm)
    return G_pms, G_out


def run_backprop(x, y):
    output, aux_nn = forward_neuralnet(x)
    loss, aux_pp = forward_postproc(output, y)  # noqa: RUF059
    G_output = backprop_postproc(1.0, aux_pp)
    return backprop_neuralnet(G_output, aux_nn)


def data(seed=8):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(BATCH, 3)), rng.normal(size=(BATCH, 2))


def main(compare_backprop, Tensor):
    global pm_hiddens, pm_output
    init_model()
    x, y = data()
    arrays = pm_hiddens, pm_output
    pm_hiddens = [{k: Tensor(v, requires_grad=True) for k, v in p.items()} for p in pm_hiddens]
    pm_output = {k: Tensor(v, requires_grad=True) for k, v in pm_output.items()}
    names = {"pm_hiddens": pm_hiddens, "pm_output": pm_output}
    loss, _ = forward_postproc(forward_neuralnet(x)[0], y)
    pm_hiddens, pm_output = arrays
    return compare_backprop(loss, names, backprop=lambda: run_backprop(x, y))
