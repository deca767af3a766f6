"""Chapter 15, a GAN: a generator draws digits, a discriminator tells them from real ones, and both learn by that.

    python examples/book/chapter15_gan.py --samples samples.png

A judge that has learned real digits (of real ones that it has not seen, it is sure of 0.88 +- 0.03) is sure of
0.61 +- 0.02 of the generated ones, and these are as varied as 9.6 +- 0.2 digits equally often (three seeds, 15 s each).
Both figures are needed: an untrained generator draws one blot, and of that a judge may be as sure (up to 0.89), always
as of the same digit.

There are two losses and two optimizers (Goodfellow et al., 2014). Where one side learns, the other is fixed: its arrays
are Tensors that require no gradient, and the graph of a loss has the parameters of one side alone. Through a fixed
discriminator a gradient still goes back to the images, and on to the generator that made them.
"""

import functools
from pathlib import Path

import numpy as np
from digits import digits
from images import save_images
from layers import dense, fixed, flat, he
from training import Settings, main, train

from tinygrad_steel import (
    Adam,
    Tensor,
    compile_backprop,
    draw,
    no_grad,
    relu,
    scope,
    sigmoid,
    sigmoid_cross_entropy,
    softmax,
    softmax_cross_entropy,
    write_backprop,
)
from tinygrad_steel.program.definitions import locals_of

BATCH, NOISE, REPORT = 32, 16, 25
GENERATOR = {
    "hidden_weight": (NOISE, 128),
    "hidden_bias": (128,),
    "picture_weight": (128, 64),
    "picture_bias": (64,),
}
DISCRIMINATOR = {
    "look_weight": (64, 128),
    "look_bias": (128,),
    "real_weight": (128, 1),
    "real_bias": (1,),
}
JUDGE = {"read_weight": (64, 48), "read_bias": (48,), "digit_weight": (48, 10), "digit_bias": (10,)}


def generator(g, noise):
    with scope("generator"):
        h = dense(g, "hidden", noise, relu)
        return dense(g, "picture", h, sigmoid)


def leaky_relu(x):
    return np.where(x > 0, x, 0.2 * x)


def discriminator(d, images):
    """Above 0 where an image is taken for a real one."""
    with scope("discriminator"):
        h = dense(d, "look", images, leaky_relu)
        return dense(d, "real", h)


def discriminator_loss(d, real, fake):
    """It is to answer 1 for real images and 0 for others."""
    real_entropy = sigmoid_cross_entropy(discriminator(d, real), 1.0)
    fake_entropy = sigmoid_cross_entropy(discriminator(d, fake), 0.0)
    return (np.mean(real_entropy) + np.mean(fake_entropy)) / 2


def generator_loss(g, d, noise):
    """Its images are to be taken for real ones."""
    fake = generator(g, noise)
    entropy = sigmoid_cross_entropy(discriminator(d, fake), 1.0)
    return np.mean(entropy)


def noise_of(rng, count=BATCH):
    return rng.uniform(-1, 1, (count, NOISE))


def images_of(g, noise):
    with no_grad():
        return generator(g, Tensor(noise)).numpy()


def eager_steps(g, d, d_optimizer, g_optimizer):
    """Two functions: each trains one side on a batch and returns its loss."""

    def step(optimizer, loss):
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    def d_step(real, fake):
        return step(d_optimizer, discriminator_loss(d, Tensor(real), Tensor(fake)))

    def g_step(noise):
        return step(g_optimizer, generator_loss(g, fixed(d), Tensor(noise)))

    return d_step, g_step


def losses(g, d, batch, noise):
    """The two losses of a batch, as graphs."""
    real = Tensor(batch, name="real")
    fake = Tensor(images_of(g, noise), name="fake")
    d_loss = discriminator_loss(d, real, fake)
    return d_loss, generator_loss(g, fixed(d), Tensor(noise, name="noise"))


def compiled_steps(g, d, d_optimizer, g_optimizer):
    """The same, compiled: a fixed discriminator is data of the generator's step, given anew at each."""
    d_loss, g_loss = losses(g, d, np.zeros((BATCH, 64)), np.zeros((BATCH, NOISE)))
    d_step = compile_backprop(d_loss, optimizer=d_optimizer)
    step = compile_backprop(g_loss, optimizer=g_optimizer)

    def g_step(noise):
        return step(noise=noise, **{name: t.data for name, t in d.items()})

    return d_step, g_step


def learn(settings, rng, images, g, d):
    """Train both sides in turn; the losses of each epoch."""
    epochs = min(settings.epochs, 20) if settings.quick else settings.epochs
    make_steps = eager_steps if settings.eager or settings.quick else compiled_steps
    d_optimizer, g_optimizer = (Adam(p.values(), 0.001, beta1=0.5) for p in (d, g))
    d_step, g_step = make_steps(g, d, d_optimizer, g_optimizer)
    history = []
    for epoch in range(1, epochs + 1):
        pairs = []
        for rows in rng.permutation(len(images))[: len(images) // BATCH * BATCH].reshape(-1, BATCH):
            d_loss = d_step(images[rows], images_of(g, noise_of(rng)))
            pairs.append((d_loss, g_step(noise_of(rng))))
        history.append(np.mean(pairs, axis=0))
        if epoch % REPORT == 0 or epoch == epochs:
            d_loss, g_loss = history[-1]
            print(f"Epoch {epoch}: discriminator loss={d_loss:5.3f}, generator loss={g_loss:5.3f}")
    return history


def judge(p, x):
    return dense(p, "digit", dense(p, "read", flat(x), relu))


def judge_loss(output, y):
    return np.mean(softmax_cross_entropy(output, y))


def accuracy(output, y):
    return np.mean(np.argmax(output, axis=1) == np.argmax(y, axis=1))


def recognised(p, images):
    """The share of images that the judge is sure of (0.9), and how many equally frequent digits vary as much."""
    with no_grad():
        probability = softmax(judge(p, Tensor(images))).numpy()
    sure = probability.max(axis=1) > 0.9
    shares = np.bincount(probability[sure].argmax(axis=1), minlength=10) / max(1, sure.sum())
    entropy = -np.sum(shares * np.log(np.where(shares == 0, 1, shares)))
    return sure.mean(), np.exp(entropy)


def run(settings):
    rng = np.random.default_rng(settings.seed)
    data = digits(rng)
    g, d = he(rng, GENERATOR), he(rng, DISCRIMINATOR)
    images = data.x.reshape(-1, 64)
    if settings.source or settings.graph:
        return explain(settings, g, d, images[:BATCH], noise_of(rng))
    print("a judge, which learns real digits and sees none of the others")
    p = he(rng, JUDGE)
    train(
        Settings(epochs=20, eager=True),
        rng,
        data,
        functools.partial(judge, p),
        judge_loss,
        accuracy,
        Adam(p.values(), 0.003),
    )
    print("\ngenerator and discriminator")
    noise = noise_of(rng, 1000)
    sights = {"real ones, to test with": data.test_x, "before training": images_of(g, noise)}
    history = learn(settings, rng, images, g, d)
    sights["generated"] = images_of(g, noise)
    print("\nimages                   recognised  digits")
    for name, found in sights.items():
        share, variety = recognised(p, found)
        print(f"{name:24} {share:10.3f} {variety:7.1f}")
    if settings.samples:
        save_images(settings.samples, sights["generated"][:50].reshape(-1, 8, 8))
    return history


def explain(settings, g, d, batch, noise):
    """Instead of training: the backprop of both losses as source, or their graphs as two pictures."""
    with locals_of(discriminator_loss) as d_names, locals_of(generator_loss) as g_names:
        d_loss, g_loss = losses(g, d, batch, noise)
    found = {"discriminator": (d_loss, d_names), "generator": (g_loss, g_names)}
    for side, (loss, names) in found.items():
        names = {**names, f"{side}_loss": loss}
        if settings.source:
            print(f"# the {side} learns")
            print(write_backprop(loss, names), end="")
        if settings.graph:
            loss.backward()
            file = Path(settings.graph)
            picture = draw(loss, settings.view, names, fold=True)
            print(f"drawn: {picture.save(file.with_stem(f'{file.stem}_{side}'))}")


if __name__ == "__main__":
    main(run, __doc__, epochs=300, samples="draw generated digits")
