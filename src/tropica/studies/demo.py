"""``run_demo``: Table 2, Figure 2 and the terms as images, for two small networks on the digits of scikit-learn."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from tropica.studies.datasets.load import load_data
from tropica.studies.runner import StudiesResult, run_studies
from tropica.studies.training.settings import TrainSettings

STUDIES = ("table2", "figure2", "neighbors")
MODELS = ("fcn4", "conv-small")
"""The paper's FCN4 (with 64 inputs: 64, 200, 80 units), and a convolutional network that suits images of 8 × 8 pixels."""


def run_demo(
    out: str | os.PathLike[str], *, epochs: int = 40, seed: int = 0, threads: int = 1, progress: Any = True
) -> StudiesResult:
    """Train a fully connected and a convolutional network, rebuild both from their linear terms, and write a report.

    Args:
        out: a folder for the report, the studies' numbers and figures, and the networks' weights; finished runs in it are
            not measured again.
        epochs: the number of training epochs.
        seed: the seed of the weights and of the order of the training points.
        threads: the number of PyTorch threads; one thread is fastest for networks of this size, and gives the same weights in
            every run.
        progress: True for bars, or a function (done, total, message).

    Raises:
        InputError: ``out`` cannot be written to or holds runs with other settings, or ``epochs`` is not a positive integer.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result = run_demo(folder, epochs=1, progress=False)
    >>> result, bool(result.done["table2"].to_dataframe()["certificate_holds"].all())
    (StudiesResult(table2, figure2, neighbors), True)
    """
    settings = TrainSettings(epochs=epochs, batch_size=32, lr=1e-3, every=epochs)
    train, test = load_data("digits"), load_data("digits", split="test")
    title = "tropica demo: networks rebuilt from their linear terms"
    with _threads(threads):
        return run_studies(
            train,
            test,
            out,
            studies=STUDIES,
            models=MODELS,
            runs=1,
            seed=seed,
            settings=settings,
            title=title,
            progress=progress,
        )


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """Set torch's number of threads for the duration of the context."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
