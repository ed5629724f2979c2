"""Points of a box that may violate a property: random ones, and descent along gradients."""

from __future__ import annotations

import numpy as np
import torch

from tropica.network.network import PiecewiseLinearNetwork

STARTS, LEAST_STARTS, STEPS = 64, 4, 40
"""Points that descend, those of each conjunction at least, and their steps."""
MOST = 16
"""Points that are handed on."""


def attack(
    net: PiecewiseLinearNetwork,
    lo: np.ndarray,
    hi: np.ndarray,
    rows: np.ndarray,
    starts: np.ndarray,
    *,
    samples: int,
    seed: int,
) -> np.ndarray:
    """Points (n, D) that seem to satisfy all rows [A | b] of a conjunction, A y ≤ b, the clearest first.

    Args:
        net: the network.
        lo, hi: (D,) the box.
        rows: (M, s + 1) of all conjunctions.
        starts: where each conjunction begins, and M.
        samples: random points.
        seed: of the points.
    """
    exact = net.to(torch.float64).to("cpu")
    generator = torch.Generator().manual_seed(seed)
    low, high = torch.from_numpy(lo), torch.from_numpy(hi)
    matrix, bound = torch.from_numpy(rows[:, :-1]), torch.from_numpy(rows[:, -1])

    def excess(x: torch.Tensor) -> torch.Tensor:
        """For each point and conjunction the largest A y − b."""
        gaps = exact(x.reshape(-1, *net.input_shape)) @ matrix.T - bound
        return torch.stack([gaps[:, a:b].amax(1) for a, b in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)], 1)

    share = torch.rand(samples, len(lo), generator=generator, dtype=torch.float64)
    x = torch.from_numpy(points_of_box(lo, hi, share.numpy()))
    with torch.no_grad():
        worst = excess(x)
    most = max(LEAST_STARTS, STARTS // worst.shape[1])
    chosen = worst.argsort(0)[:most]  # for each conjunction its best points
    mine = torch.arange(worst.shape[1]).expand_as(chosen).flatten()
    points = x[chosen.flatten()].clone()
    for step in range(STEPS):
        points.requires_grad_()
        with torch.enable_grad():
            loss = excess(points).gather(1, mine[:, None]).sum()
        if not loss.requires_grad:
            break
        gradient = torch.autograd.grad(loss, points, allow_unused=True, materialize_grads=True)[0]
        rate = 0.1 * (1 - step / STEPS) ** 2
        points = torch.clamp(points.detach() - rate * (high - low) * gradient.sign(), low, high)
    every = torch.cat([x, points.detach()])
    with torch.no_grad():
        least = excess(every).amin(1)
    order = least.argsort()
    good = order[least[order] <= 0][:MOST]
    return every[good].numpy()


def points_of_box(lo: np.ndarray, hi: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The points (n, D) of a box at shares (n, D) of the way from lo to hi; hi − lo may overflow.

    >>> points_of_box(np.array([-1e308]), np.array([1e308]), np.array([[0.0], [0.75]])).tolist()
    [[-1e+308], [5e+307]]
    """
    return np.clip(lo * (1 - share) + hi * share, lo, hi)
