"""Zero sets of networks trained on signed distances: the exact mesh beside marching cubes. ``python -m benchmarks.surfaces``.

The shape is a body, a head and two ears, blended: closed, of genus 0. Needs ``tropica[bench]`` (scikit-image).
"""

from __future__ import annotations

import sys
import time
from itertools import pairwise

import numpy as np
import torch
from rich.table import Table
from torch import Tensor, nn

import tropica as tp
from benchmarks.report import show

NETWORKS = {"3-16³": (3, 16, 16, 16, 1), "3-32⁸": (3, *[32] * 8, 1)}
GRID = 256


def shape(x: Tensor) -> Tensor:
    """About the signed distance of points (N, 3) to a blend of balls and capsules."""
    body = (x - torch.tensor([0.0, -0.25, 0.0])).norm(dim=1) - 0.42
    head = (x - torch.tensor([0.0, 0.28, 0.12])).norm(dim=1) - 0.26
    distances = [body, head]
    for side in (-1.0, 1.0):
        a, b = torch.tensor([0.10 * side, 0.45, 0.08]), torch.tensor([0.22 * side, 0.85, -0.05])
        share = (((x - a) @ (b - a)) / (b - a).square().sum()).clamp(0, 1)[:, None]
        distances.append((x - a - share * (b - a)).norm(dim=1) - 0.08)
    return -0.03 * torch.logsumexp(-torch.stack(distances) / 0.03, 0)


def trained(sizes: tuple[int, ...], steps: int) -> nn.Sequential:
    """A relu network that approximates the shape's distance on [−1, 1]³."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for m, n in pairwise(sizes):
        layers += [nn.Linear(m, n), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    loss = torch.zeros(())
    for _ in range(steps):
        x = 2 * torch.rand(2048, 3) - 1
        loss = (model(x)[:, 0] - shape(x)).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    print(f"trained: mean error {loss.item():.4f}", flush=True)
    return model.eval()


def marching_cubes(model: nn.Sequential) -> tuple[float, int, int]:
    """Area, number of triangles and Euler characteristic of marching cubes on the grid."""
    from skimage.measure import marching_cubes, mesh_surface_area  # pyright: ignore[reportMissingImports]

    axis = torch.linspace(-1, 1, GRID)
    with torch.no_grad():
        planes = [model(torch.cartesian_prod(a[None], axis, axis))[:, 0] for a in axis]
    volume = torch.stack(planes).reshape(GRID, GRID, GRID).numpy()
    vertices, triangles, *_ = marching_cubes(volume, 0.0, spacing=(2 / (GRID - 1),) * 3)
    ends = np.concatenate([triangles[:, k] for k in ([0, 1], [1, 2], [2, 0])])
    edges = np.unique(np.sort(ends, axis=1), axis=0)
    return float(mesh_surface_area(vertices, triangles)), len(triangles), len(vertices) - len(edges) + len(triangles)


def main() -> None:
    """Both networks, or those named as arguments."""
    columns = ["network", "cells", "s", "mesh, s", "polygons", "closed", "χ", "Betti numbers", "s", "area"]
    columns += [f"{GRID}³", "χ", "area", "s"]
    table = Table(*columns, title=f"Zero sets on [−1, 1]³: exact, and marching cubes at {GRID}³")
    for name in sys.argv[1:] or NETWORKS:
        model = trained(NETWORKS[name], 3000)
        net = tp.trace(model, torch.zeros(2, 3))
        times = [time.perf_counter()]
        cx = tp.linear_regions(net, tp.Box(-1, 1, d=3))
        times.append(time.perf_counter())
        boundary = cx.boundary()
        mesh = boundary.mesh()
        times.append(time.perf_counter())
        betti = boundary.betti_numbers()
        times.append(time.perf_counter())
        area, triangles, euler = marching_cubes(model)
        times.append(time.perf_counter())
        seconds = [f"{s:.1f}" for s in np.diff(times)]
        own = [f"{len(mesh):,}", str(mesh.closed), str(mesh.euler_characteristic), str(betti), seconds[2], f"{mesh.area:.6f}"]
        grid = [f"{triangles:,} triangles", str(euler), f"{area:.6f}", seconds[3]]
        table.add_row(name, f"{len(cx):,}", *seconds[:2], *own, *grid)
        print(name, f"{len(cx):,} cells", mesh, betti, seconds, mesh.area, area, euler, flush=True)
    show(table, "surfaces")


if __name__ == "__main__":
    main()
