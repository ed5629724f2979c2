"""Questions asked of regions: the numbers of one run. ``python -m benchmarks.queries cell|walk|range|ig``."""

from __future__ import annotations

import sys
import time
from itertools import pairwise

import numpy as np
import torch

import tropica as tp


def random_network(*sizes: int, seed: int = 0) -> tp.PiecewiseLinearNetwork:
    """A dense relu network with float32 weights of He's variance and small biases."""
    random = np.random.default_rng(seed)
    layers = []
    for m, n in pairwise(sizes):
        weight = random.standard_normal((n, m)) * (2 / m) ** 0.5
        layers.append((weight.astype(np.float32), (random.standard_normal(n) * 0.1).astype(np.float32)))
    return tp.from_layers(layers)


def cell() -> None:
    """The cell of a point of 784-1024×4-10 in [0, 1]^784: seconds for each part."""
    net, x = random_network(784, *[1024] * 4, 10), np.random.default_rng(1).uniform(0.05, 0.95, 784)
    start = time.perf_counter()
    r = tp.cell(net, x, domain=tp.Box(0, 1, d=784))
    rows = r.halfspaces
    print(f"half-spaces: {len(rows):,} in {time.perf_counter() - start:.1f} s")
    start = time.perf_counter()
    print("distances:", {n: float(r.distance(norm=n)) for n in ("l1", "l2", "linf")}, f"{time.perf_counter() - start:.1f} s")
    start = time.perf_counter()
    print(f"facets: {r.find_facets(max_seconds=60)} in {time.perf_counter() - start:.1f} s")


def walk() -> None:
    """Walks against the engine's count on boxes: cells, seconds of each."""
    for sizes in ((2, 8, 8, 2), (3, 8, 8, 2), (4, 6, 6, 2)):
        net, domain = random_network(*sizes), tp.Box(-1, 1, d=sizes[0])
        start = time.perf_counter()
        found = tp.walk_cells(net, np.full(sizes[0], 0.123), within=domain).run()
        walked = time.perf_counter() - start
        start = time.perf_counter()
        count = int(tp.count_cells(net, domain))
        print(sizes, f"walk {len(found):,} cells {walked:.1f} s, count_cells {count:,} {time.perf_counter() - start:.1f} s")


def output_range() -> None:
    """A local Lipschitz constant, and exact ranges in 3 to 5 dimensions: cells visited."""
    net = random_network(2, 64, 32, 1)
    found = tp.output_range(net, tp.Box(-1, 1, d=2), "lipschitz", norm="linf")
    print((2, 64, 32, 1), "lipschitz", found, f"{found.seconds:.1f} s", flush=True)
    for sizes in ((3, 16, 16, 1), (4, 16, 16, 1), (5, 12, 12, 1)):
        net, domain = random_network(*sizes), tp.Box(-1, 1, d=sizes[0])
        found = tp.output_range(net, domain, max_seconds=120)
        print(sizes, found, f"{found.seconds:.1f} s", flush=True)


def attributions() -> None:
    """Exact integrated gradients of a convolutional network on 28 × 28: seconds, residual."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 16, 5, stride=2), torch.nn.ReLU(), torch.nn.Conv2d(16, 32, 5, stride=2), torch.nn.ReLU(),
        torch.nn.Flatten(), torch.nn.Linear(512, 10),
    ).eval()  # fmt: skip
    net, x = tp.trace(model, torch.zeros(2, 1, 28, 28)), torch.rand(10, 1, 28, 28)
    start = time.perf_counter()
    print(tp.integrated_gradients(net, x), f"{time.perf_counter() - start:.1f} s, pieces:", end=" ")
    print(tp.integrated_gradients(net, x[:1]).pieces.tolist())


if __name__ == "__main__":
    commands = {"cell": cell, "walk": walk, "range": output_range, "ig": attributions}
    for name in sys.argv[1:] or commands:
        commands[name]()
