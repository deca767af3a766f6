"""Chapter 6: Adam's update, written from its equations."""

from __future__ import annotations

import numpy as np


class AdamByHand:
    """The mean m and the mean square v of a gradient, both corrected for their start at 0."""

    def __init__(self, rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-8):
        self.rate, self.beta1, self.beta2, self.epsilon = rate, beta1, beta2, epsilon
        self.m = self.v = 0.0
        self.steps = 0

    def update(self, G):
        """What is taken from the parameter."""
        self.steps += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * G
        self.v = self.beta2 * self.v + (1 - self.beta2) * G**2
        m = self.m / (1 - self.beta1**self.steps)
        v = self.v / (1 - self.beta2**self.steps)
        return self.rate * m / (np.sqrt(v) + self.epsilon)
