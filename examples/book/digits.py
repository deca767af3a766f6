"""Handwritten digits: 1797 real images of 8x8 pixels, which come with scikit-learn.

They are of Alpaydin and Kaynak's data set in the UCI Machine Learning Repository, doi.org/10.24432/C50P49 (CC BY 4.0).
"""

from __future__ import annotations

import numpy as np
from training import Data


def digits(rng: np.random.Generator) -> Data:
    """Images (n, 8, 8, 1) from 0 to 1 and their digits as one-hot rows; a fifth of them to test with."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError(
            'the digits come with scikit-learn: pip install "tinygrad_steel[sklearn]"'
        ) from error
    images, labels = load_digits(return_X_y=True)
    x = images.reshape(-1, 8, 8, 1) / 16
    y = np.eye(10)[labels]
    order = rng.permutation(len(x))
    test, training = np.split(order, [len(x) // 5])
    return Data(x[training], y[training], x[test], y[test])
