"""Depth against width: the linear regions of networks with equally many neurons, random and constructed, beside the bounds."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from torch import nn

from tropica import bounds
from tropica.errors import InputError
from tropica.network.trace import trace
from tropica.plots import style
from tropica.regions.domains.constructors import Space
from tropica.regions.linear_regions import linear_regions
from tropica.runtime.files import writable_folder, write_file, write_json
from tropica.runtime.progress import progress_callback
from tropica.tropical.to_network import linear_layer


@dataclass(frozen=True)
class DepthRow:
    """One depth: counts of linear regions in all of the input space.

    Attributes:
        depth: number of hidden layers.
        widths: hidden widths, which sum to the number of neurons.
        random: the counts of the random networks.
        constructed: the count of the zig-zag network.
        lower: the bound of Montúfar et al. 2014, which the zig-zag network is built to reach.
        upper: the bound of Zhang et al. 2018 (Theorem 6.3).
        best: the bound of Serra et al. 2018.
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
    """The counts for each depth.

    Attributes:
        rows: one for each depth.
        neurons, inputs: the hidden units and the input dimension of each network.
        files: written files by kind.

    >>> row = DepthRow(depth=1, widths=(4,), random=(9, 11), constructed=9, lower=5, upper=11, best=11)
    >>> found = DepthResult(rows=(row,), neurons=4, inputs=2, files={})
    >>> found, found.to_dataframe()["random (mean)"].tolist()
    (DepthResult(4 neurons, 2 inputs, depths [1]), [10.0])
    """

    rows: tuple[DepthRow, ...]
    neurons: int
    inputs: int
    files: dict[str, Path]

    def to_dataframe(self) -> pd.DataFrame:
        """The rows, with mean, smallest and largest count of the random networks."""
        counts = ("constructed", "lower", "upper", "best")
        return pd.DataFrame(
            {
                "depth": row.depth,
                "widths": "-".join(map(str, row.widths)),
                "random (mean)": sum(row.random) / len(row.random),
                "random (smallest)": min(row.random),
                "random (largest)": max(row.random),
                **{name: getattr(row, name) for name in counts},
            }
            for row in self.rows
        )

    def __repr__(self) -> str:
        return f"DepthResult({self.neurons} neurons, {self.inputs} inputs, depths {[row.depth for row in self.rows]})"

    def _repr_html_(self) -> str:
        return self.to_dataframe().to_html(index=False)


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

    Random networks have PyTorch's default weights; the zig-zag ones fold the unit cube onto itself (:func:`zigzag`). All
    have a linear output, as Theorem 6.3 of Zhang et al. 2018 assumes.

    Args:
        neurons: hidden units in all; each layer gets a multiple of ``inputs``, as evenly as possible.
        inputs: dimension of the input space.
        depths: numbers of hidden layers.
        draws: number of random networks of each depth.
        seed: the seed of the first random network.
        out: a folder for ``depth-width.png``, ``.json`` and ``.csv``.

    Raises:
        InputError: too few neurons for a depth, or a folder that cannot be written to.

    >>> result = depth_against_width(8, 2, (1, 2), draws=2)
    >>> [(row.widths, row.constructed, row.upper) for row in result.rows]
    [((8,), 37, 37), ((4, 4), 59, 121)]
    """
    folder = None if out is None else writable_folder(out)
    widths_of = [even_widths(neurons, inputs, depth) for depth in depths]
    if draws < 1:
        raise InputError(f"draws must be 1 or more; found {draws}")
    rows = []
    with progress_callback(progress) as report:
        for done, widths in enumerate(widths_of):
            rows.append(_row(widths, inputs, draws, seed))
            if report:
                report(done + 1, len(widths_of), f"{len(widths)} hidden layers")
    result = DepthResult(tuple(rows), neurons, inputs, {})
    return result if folder is None else replace(result, files=_write(folder, result))


def even_widths(neurons: int, inputs: int, depth: int) -> tuple[int, ...]:
    """Widths that are multiples of ``inputs`` and sum to ``neurons``, as equal as possible, the larger ones first.

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
    """The number of linear regions in all of the input space."""
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
    """A network whose hidden layers fold the unit cube onto itself.

    The last hidden layer cuts the folded cube with hyperplanes in general position. With p = ⌊n_l / inputs⌋ units for each
    coordinate t in [0, 1] a layer before it computes relu(pt) − 2 relu(pt − 1) + 2 relu(pt − 2) …, which goes p times from 0
    to 1 or back: the regions of the last layer occur (∏ p_l)^inputs times. Montúfar, Pascanu, Cho and Bengio 2014, Theorem 5.

    >>> model = zigzag((4, 2), 1)  # up and down four times, and two cuts
    >>> regions_of(model, 1) >= bounds.montufar2014((1, 4, 2)) == 12
    True
    """
    layers: list[nn.Module] = []
    weight, bias = np.eye(inputs), np.zeros(inputs)  # from the layer before to the folded coordinates
    for n in widths[:-1]:
        p = n // inputs
        if p < 1:
            raise InputError(f"a folding layer needs at least one unit for each of the {inputs} inputs; found a width of {n}")
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
    """n hyperplanes in general position that intersect in the unit cube: normals (n, d), offsets (n,).

    Every second normal is reversed, so that some unit is active on each side: where none is, the network is constant, and the
    regions on the two sides of a fold would be one.
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


def _write(folder: Path, result: DepthResult) -> dict[str, Path]:
    figure = style.figure(5.0, 3.4)
    with style.applied():
        draw_depth_width(result, figure.add_subplot())
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=200)
    csv = result.to_dataframe().to_csv(index=False, lineterminator="\n")
    numbers = {"neurons": result.neurons, "inputs": result.inputs, "rows": [asdict(row) for row in result.rows]}
    return {
        "figure": write_file(folder / "depth-width.png", content.getvalue()),
        "json": write_json(folder / "depth-width.json", numbers),
        "csv": write_file(folder / "depth-width.csv", csv),
    }


def draw_depth_width(result: DepthResult, ax: Axes) -> None:
    """Draw the counts of random and of zig-zag networks with the bounds, on a logarithmic scale."""
    rows = result.rows
    depth = [row.depth for row in rows]
    mean = np.array([np.mean(row.random) for row in rows])
    reach = np.array([(m - min(row.random), max(row.random) - m) for m, row in zip(mean, rows, strict=True)]).T
    ax.plot(depth, [row.upper for row in rows], color=style.BLACK, ls="--", lw=1, label="upper bound, Theorem 6.3")
    if any(row.best < row.upper for row in rows):
        ax.plot(depth, [row.best for row in rows], color=style.BLACK, ls=":", lw=1.2, label="upper bound, Serra et al. 2018")
    ax.plot(depth, [row.constructed for row in rows], color=style.BLUE, marker="s", ms=4.5, lw=1.4, label="zig-zag, measured")
    lower = {"color": style.BLACK, "marker": "_", "ms": 9, "ls": "", "label": "lower bound, Montúfar et al. 2014"}
    ax.plot(depth, [row.lower for row in rows], **lower)
    marks = {"color": style.VERMILION, "marker": "o", "ms": 4.5, "lw": 1.4, "capsize": 2.5}
    ax.errorbar(depth, mean, yerr=reach, label="random, measured", **marks)
    ax.set_yscale("log")
    ax.set_xticks(depth)
    ax.set_xlabel(f"hidden layers ({result.neurons} neurons in all)")
    ax.set_ylabel(f"linear regions of $\\mathbb{{R}}^{{{result.inputs}}}$")
    ax.legend(loc="upper left")
    ax.set_ylim(top=30 * max(row.upper for row in rows))
