"""Depth: the size of K and F⁻ on deep networks, and the error of ∇N = a⁺ − a⁻, for both decompositions, in float64."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

import torch
from rich.table import Table
from torch import Tensor, nn

import tropica as tp
from benchmarks.architectures import DEEP, initial, prepared
from benchmarks.networks import briefly_trained, images
from tropica.decomposition.dc_decomposition import DCDecomposition

POINTS = {"ResNet-18": 64, "VGG-16-BN": 64, "ResNet-50": 32, "MobileNetV2": 32, "DenseNet-121": 24}
TRAINED = ("ResNet-18",)
"""Networks that are also measured after a short training where CIFAR-10 is available (minutes, once)."""


def _models(name: str, pictures: Tensor) -> Iterator[tuple[str, nn.Module, tuple[str, ...]]]:
    """The network in several states, and the decompositions to measure."""
    yield "as initialized", initial(name), ("calibrated", "paper")
    yield "norms set by data", prepared(name, pictures), ("calibrated",)
    if name in TRAINED and (model := briefly_trained(name)) is not None:
        yield "after 100 steps", model, ("calibrated", "paper")


def _label_share(terms: tp.LinearTerms, x: Tensor) -> float:
    """The share of the extracted points at which N^(X) gives the network's label."""
    return float((tp.ExtractedFunction(terms).predict(x) == terms.labels).double().mean())


def _lost(terms: tp.LinearTerms) -> float:
    """‖(a⁺ − a⁻) − ∇N‖ / ‖∇N‖ where a⁺ and a⁻ are formed in float64 and subtracted."""
    minus = terms.minus.weight
    plus = terms.local.weight + minus
    return float(torch.linalg.vector_norm(plus - minus - terms.local.weight) / torch.linalg.vector_norm(terms.local.weight))


def measure(name: str, weights: str, decomposition: DCDecomposition, x: Tensor, seconds: float) -> list[str]:
    """One row of the table."""
    terms = tp.extract(decomposition.net, x, decomposition, on_failure="warn")
    logits = decomposition.net(x).abs().amax(1)
    f_minus = decomposition.f_minus(x) - decomposition.constant
    return [
        name,
        weights,
        decomposition.method,
        str(len(decomposition.net.nonlinearities)),
        str(len(x)),
        f"{decomposition.summary().largest:.2g}",
        f"{float((f_minus / logits).max()):.2g}",
        f"{_lost(terms):.1g}",
        f"{decomposition.passes:.2f}",
        "holds" if terms.certificate.holds else "fails",
        f"{_label_share(terms, x):.1%}",
        f"{seconds:.0f}",
    ]


def main() -> None:
    """Print the table."""
    from benchmarks.report import show

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="*", default=list(DEEP), choices=list(DEEP))
    chosen = parser.parse_args().networks
    pictures, what = images(256)
    table = Table(
        title=f"Depth: {what} at 32 pixels, float64; bars for the calibrated decomposition: 1e5 (ResNet-18), 1e9 (ResNet-50)"
    )
    for heading in (
        "network",
        "weights",
        "decomposition",
        "nonlinearities",
        "points",
        "largest K",
        "F⁻/|logit|",
        "lost of ∇N",
        "passes",
        "certificate",
        "labels kept",
        "decomposition s",
    ):
        table.add_column(heading)
    for name in chosen:
        x = pictures[: POINTS[name]].double()
        for weights, model, methods in _models(name, pictures):
            net = tp.trace(model.double(), x[:2])
            for method in methods:
                start = time.perf_counter()
                decomposition = tp.decompose(net, x, method=method, batch_size=8, progress=True)
                table.add_row(*measure(name, weights, decomposition, x, time.perf_counter() - start))
    show(table, "depth")


if __name__ == "__main__":
    main()
