"""Depth against width: the linear regions of networks with equally many neurons, random and constructed, beside the bounds."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tropica import bounds
from tropica.errors import InputError
from tropica.network.trace import trace
from tropica.regions.domains import Space
from tropica.regions.linear_regions import linear_regions
from tropica.runtime.files import writable_folder, write_csv, write_file, write_json
from tropica.runtime.progress import progress_callback
from tropica.tropical.to_network import linear_layer


@dataclass(frozen=True)
class DepthRow:
    """One depth: counts of linear regions in all of the input space.

    Attributes:
        depth: hidden layers; ``widths``: hidden widths, which sum to the number of neurons.
        random: the counts of the random networks.
        constructed: the count of the zig-zag network.
        lower: the bound of Montúfar et al. 2014, which the zig-zag network is built to reach.
        upper: that of Zhang et al. 2018 (Theorem 6.3); ``best``: that of Serra et al. 2018.
    """

    depth: int
    widths: tuple[int, ...]
    random: tuple[int, ...]
    constructed: int
    lower: int
    upper: int
    best: int


@dataclass(frozen=True)
class DepthResult:
    """The study's rows, a row a depth, and the files that were written."""

    rows: tuple[DepthRow, ...]
    neurons: int
    inputs: int
    files: dict[str, Path]


def depth_against_width(
    neurons: int = 24,
    inputs: int = 2,
    depths: Sequence[int] = (1, 2, 3, 4, 5, 6),
    *,
    draws: int = 10,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    progress: Any = False,
) -> DepthResult:
    """Count the linear regions of ReLU networks with equally many neurons in 1 to 6 hidden layers.

    Random networks have PyTorch's default weights; the zig-zag ones fold the unit cube onto itself (:func:`zigzag`). A network
    of the theorem has linear output, and the bound is that of its Theorem 6.3.

    Args:
        neurons: hidden units in all; each layer gets a multiple of ``inputs``, as evenly as may be.
        depths: numbers of hidden layers.
        draws: random networks a depth.
        out: a folder for ``depth-width.png``, ``.json`` and ``.csv``.

    Raises:
        InputError: too few neurons for a depth, or a folder that cannot be written to.

    >>> result = depth_against_width(8, 2, (1, 2), draws=2)
    >>> [(row.widths, row.constructed, row.upper) for row in result.rows]
    [((8,), 37, 37), ((4, 4), 59, 121)]
    """
    folder = None if out is None else writable_folder(out)
    plans = [even_widths(neurons, inputs, depth) for depth in depths]
    if draws < 1:
        raise InputError(f"draws must be 1 or more; found {draws}")
    rows = []
    with progress_callback(progress) as report:
        for done, widths in enumerate(plans):
            rows.append(_row(widths, inputs, draws, seed))
            if report:
                report(done + 1, len(plans), f"{len(widths)} hidden layers")
    files = {} if folder is None else _write(folder, rows, neurons, inputs)
    return DepthResult(tuple(rows), neurons, inputs, files)


def even_widths(neurons: int, inputs: int, depth: int) -> tuple[int, ...]:
    """Widths that are multiples of ``inputs`` and sum to ``neurons``, as equal as may be, the larger ones first.

    >>> even_widths(24, 2, 5)
    (6, 6, 4, 4, 4)
    """
    if inputs < 1 or depth < 1 or neurons % inputs or neurons < inputs * depth:
        raise InputError(
            f"{neurons} neurons cannot be split into {depth} layers whose widths are multiples of the {inputs} inputs"
        )
    each, more = divmod(neurons // inputs, depth)
    return tuple(inputs * (each + (layer < more)) for layer in range(depth))


def _row(widths: tuple[int, ...], inputs: int, draws: int, seed: int) -> DepthRow:
    random = tuple(regions_of(random_network(widths, inputs, seed=seed + draw), inputs) for draw in range(draws))
    architecture = (inputs, *widths)
    return DepthRow(
        len(widths),
        widths,
        random,
        regions_of(zigzag(widths, inputs), inputs),
        bounds.montufar2014(architecture),
        bounds.zhang2018(architecture),
        bounds.serra2018(architecture),
    )


def regions_of(model: nn.Module, inputs: int) -> int:
    """Linear regions in all of the input space."""
    return len(linear_regions(trace(model, torch.zeros(2, inputs, dtype=torch.float64)), Space(inputs)).regions)


def random_network(widths: Sequence[int], inputs: int, *, seed: int = 0) -> nn.Sequential:
    """Linear and ReLU layers with PyTorch's default weights, one linear output."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers: list[nn.Module] = []
        for before, after in zip((inputs, *widths), widths, strict=False):
            layers += [nn.Linear(before, after), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(widths[-1], 1)).double().eval()


def zigzag(widths: Sequence[int], inputs: int) -> nn.Sequential:
    """A network that folds the unit cube onto itself in every hidden layer but the last, and cuts what it sees there with
    hyperplanes in general position.

    With p = ⌊n_l / inputs⌋ units for each coordinate t in [0, 1] a layer computes relu(pt) − 2 relu(pt − 1) + 2 relu(pt − 2) …,
    which goes up and down between 0 and 1 p times: so the last layer's pieces are repeated (∏ p_l)^inputs times. Montúfar,
    Pascanu, Cho and Bengio 2014, Theorem 5.

    >>> model = zigzag((4, 2), 1)  # up and down four times, and two cuts
    >>> regions_of(model, 1) >= bounds.montufar2014((1, 4, 2)) == 12
    True
    """
    layers: list[nn.Module] = []
    weight, bias = np.eye(inputs), np.zeros(inputs)  # from the layer before to the folded coordinates
    for n in widths[:-1]:
        p = n // inputs
        if p < 1:
            raise InputError(f"a folding layer has a unit for each of the {inputs} inputs at least; found a width of {n}")
        up = np.zeros((n, inputs))
        shift = np.zeros(n)
        fold = np.zeros((inputs, n))
        for i in range(inputs):
            rows = slice(i * p, (i + 1) * p)
            up[rows, i] = p
            shift[rows] = -np.arange(p)
            fold[i, rows] = [1.0, *(2.0 * (-1) ** k for k in range(1, p))]
        layers += [linear_layer(up @ weight, up @ bias + shift), nn.ReLU()]
        weight, bias = fold, np.zeros(inputs)
    normals, offsets = general_position(widths[-1], inputs)
    layers += [linear_layer(normals @ weight, normals @ bias + offsets), nn.ReLU()]
    return nn.Sequential(*layers, linear_layer(1.0 + np.arange(widths[-1])[None] / 7)).eval()


def general_position(n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """n hyperplanes in general position whose crossings are in the unit cube: normals (n, d), offsets (n,).

    Every second one is turned round, so that units are active on all sides: where none is, the network is constant, and regions
    that meet at a fold would be one.
    """
    turn = (-1.0) ** np.arange(n)
    if d == 1:
        return turn[:, None], turn * (-(np.arange(n) + 0.5) / n - 1 / 64)
    if d == 2:  # tangents of a small circle
        angle = math.pi * (np.arange(n) + 0.3) / n
        normals = turn[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
        return normals, -normals @ np.array([0.47, 0.52]) - 0.25 / max(n, 2)
    random = np.random.default_rng(0)
    normals = random.standard_normal((n, d))
    return normals, -normals.sum(1) / 2 + random.standard_normal(n) * 0.01


def _write(folder: Path, rows: Sequence[DepthRow], neurons: int, inputs: int) -> dict[str, Path]:
    import io

    from tropica.plots import style
    from tropica.plots.depth_width import depth_width

    with style.applied():
        figure = style.figure(5.0, 3.4)
        depth_width(
            [r.depth for r in rows],
            random=[r.random for r in rows],
            constructed=[r.constructed for r in rows],
            lower=[r.lower for r in rows],
            upper=[r.upper for r in rows],
            tighter=[r.best for r in rows],
            neurons=neurons,
            inputs=inputs,
            ax=figure.add_subplot(),
        )
        raw = io.BytesIO()
        figure.savefig(raw, format="png", dpi=200)
    header = (
        "depth",
        "widths",
        "random (mean)",
        "random (smallest)",
        "random (largest)",
        "constructed",
        "lower",
        "upper",
        "best",
    )
    table = [
        (r.depth, "-".join(map(str, r.widths)), sum(r.random) / len(r.random), min(r.random), max(r.random), r.constructed,
         r.lower, r.upper, r.best)
        for r in rows
    ]  # fmt: skip
    return {
        "figure": write_file(folder / "depth-width.png", raw.getvalue()),
        "json": write_json(
            folder / "depth-width.json", {"neurons": neurons, "inputs": inputs, "rows": [asdict(r) for r in rows]}
        ),
        "csv": write_csv(folder / "depth-width.csv", header, table),
    }
