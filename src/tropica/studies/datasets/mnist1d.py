"""`mnist1d`: MNIST-1D, generated from ten templates of 12 points that are padded, scaled, shifted and sheared, plus noise.

Source: S. Greydanus, "Scaling *down* deep learning", 2020 (arXiv:2011.14439). The construction and its constants are those of
the paper, the random numbers are not: single points differ from the authors' file, their distribution does not. The paper
reports accuracies of 32 % (logistic regression), 68 % (dense) and 94 % (convolutional); here such models reach 33, 69 and 94 %.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from tropica.data.arrays import as_inputs, as_labels, labelled
from tropica.data.labelled import LabelledData, Split

TEMPLATES = np.array(
    [
        [5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5],
        [5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5],
        [5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5],
        [5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5],
        [5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5],
        [5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5],
        [5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5],
        [5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5],
        [5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5],
        [5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5],
    ]
)
POINTS, TRAIN, SEED = 5_000, 4_000, 42
PADDING = (36, 60)  # number of zeros after the template, both bounds included
CANVAS = TEMPLATES.shape[1] + PADDING[1]  # every padded signal is stretched to this length: 72
LENGTH = 40  # length of a finished signal
SCALE, SHIFT, SHEAR = 0.4, 48, 0.75  # widths of intervals: the factor is 1 ± 0.2, the slope ± 0.375
CORRELATED, SMOOTHING, WHITE = 0.25, 2.0, 0.02  # standard deviation before smoothing, kernel width, white noise


def load_mnist1d(split: Split, limit: int | None) -> LabelledData:
    """Signals (1, 40), 4,000 to train and 1,000 to test, ten classes, standardized over the whole set (not in [0, 1]).

    >>> load_mnist1d("train", 100)
    LabelledData('mnist1d', train: 100 points of shape (1, 40), 10 classes)
    """
    signals, classes = _generate()
    rows = slice(TRAIN) if split == "train" else slice(TRAIN, None)
    inputs, labels = as_inputs(signals[rows], "mnist1d"), as_labels(classes[rows], "mnist1d")
    return labelled(inputs, labels, name="mnist1d", split=split, limit=limit)


@lru_cache(maxsize=1)
def _generate() -> tuple[np.ndarray, np.ndarray]:
    """All signals (5000, 1, 40) and classes (5000,), shuffled."""
    # PCG64 is named because default_rng may change.
    rng = np.random.Generator(np.random.PCG64(SEED))
    classes = rng.permutation(np.arange(POINTS) % len(TEMPLATES))
    standardized = (TEMPLATES - TEMPLATES.mean(1, keepdims=True)) / TEMPLATES.std(1, keepdims=True)
    from_zero = (standardized - standardized[:, :1]) / 6
    signals = np.stack([_signal(from_zero[label], rng) for label in classes])
    return ((signals - signals.mean()) / signals.std())[:, None], classes


def _signal(template: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One signal (40,) made of a template (12,)."""
    padding = np.zeros(rng.integers(*PADDING, endpoint=True))
    signal = _resample(np.concatenate([template, padding]), CANVAS) * (1 + SCALE * rng.uniform(-0.5, 0.5))
    is_template = _resample(np.concatenate([np.ones_like(template), padding]), CANVAS) > 0
    # Correlated noise fills the padding; zeros would reveal the position of the template.
    signal = np.roll(np.where(is_template, signal, _correlated_noise(rng)), rng.integers(SHIFT))
    signal = signal + WHITE * rng.standard_normal(CANVAS)
    signal = signal + SHEAR * rng.uniform(-0.5, 0.5) * np.linspace(-0.5, 0.5, CANVAS)
    return _resample(signal, LENGTH)


def _resample(signal: np.ndarray, length: int) -> np.ndarray:
    """The signal at `length` positions from its first to its last point, interpolated linearly."""
    return np.interp(np.linspace(0, len(signal) - 1, length), np.arange(len(signal)), signal)


def _correlated_noise(rng: np.random.Generator) -> np.ndarray:
    """White noise (72,) smoothed by a Gaussian kernel that is cut at four widths; the ends are reflected."""
    reach = int(4 * SMOOTHING)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / SMOOTHING) ** 2)
    noise = np.pad(CORRELATED * rng.standard_normal(CANVAS), reach, mode="symmetric")
    return np.convolve(noise, kernel / kernel.sum(), mode="valid")
