"""A quick training, and data unsuitable for training."""

from pathlib import Path

import torch

import tropica as tp
from tests.cli.folder import save_npz

QUICK = ("--epochs", 1, "--batch-size", 50, "--limit", 100)


def write_untrainable() -> None:
    """bare.npz without labels, fours.npz with one class, tiny.npz with images of 2 × 2 pixels, id.npz with an identifier."""
    digits = tp.load_data("digits", limit=60)
    x, y = digits.inputs, digits.labels
    save_npz(Path("bare.npz"), x_train=x, x_test=x)
    save_npz(Path("fours.npz"), x_train=x, y_train=torch.full((60,), 4), x_test=x, y_test=y)
    save_npz(Path("id.npz"), x_train=x, y_train=torch.arange(60) * 10**8, x_test=x, y_test=y)
    save_npz(Path("tiny.npz"), x_train=x[..., :2, :2], y_train=y, x_test=x[..., :2, :2], y_test=y)
