"""Points and boxes given on the command line, for questions asked of one point or one box."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from tropica.cli import options
from tropica.cli.reading import read_points
from tropica.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    import tropica as tp

NUMBERS_HELP = "numbers separated by commas, in the order of the flattened input, or a file *.npy"
X_HELP = f"The point: {NUMBERS_HELP}."
BOX_HELP = "The box LO ≤ x ≤ HI; each end is one number for all inputs, or a number for each, separated by commas."
RADIUS_HELP = "The box of all points at most R away from --point or --x in each input."
CLIP_HELP = "With --radius: keep the box within LO ≤ x ≤ HI, such as 0 1 for images."

Point = Annotated[int | None, options.optional("--point", "N", "The number of a point of --data.", min=0)]
X = Annotated[str | None, options.optional("--x", "NUMBERS", X_HELP)]
BoxEnds = Annotated[tuple[str, str] | None, options.optional("--box", "LO HI", BOX_HELP)]
Radius = Annotated[float | None, options.optional("--radius", "R", RADIUS_HELP)]
Clip = Annotated[tuple[float, float] | None, options.optional("--clip", "LO HI", CLIP_HELP)]


@dataclass(frozen=True, eq=False)
class ModelAt:
    """A network, a point of it, and the data that the point is from.

    Attributes:
        net: the network.
        x: the point (*input,) in float64, or None.
        points: the data, or None.
        about: what the point is, for the numbers.
    """

    net: tp.PiecewiseLinearNetwork
    x: np.ndarray | None
    points: tp.LabelledData | None
    about: dict[str, Any]


@dataclass(frozen=True)
class BoxOptions:
    """The options that say which box is asked about: see :func:`make_box`."""

    box: BoxEnds = None
    radius: Radius = None
    clip: Clip = None


@dataclass(frozen=True)
class PointOptions:
    """The options that say which model is asked, and at which point."""

    model: options.Model
    data: options.DataIfAny = None
    subset: options.InSubset = options.Subset.test
    label: options.Label = None
    point: Point = None
    x: X = None
    inputs: options.Inputs = None
    weights: options.Weights = None
    arg: options.Arg = None

    def load(self, *, needs_point: bool) -> ModelAt:
        """Load the network and the point.

        Raises:
            InputError, DataError: they do not exist, or do not fit each other.
        """
        import torch

        import tropica as tp
        from tropica.cli.models import load_model

        if self.point is not None and self.x is not None:
            raise InputError("--point and --x: one of them names the point")
        if needs_point and self.point is None and self.x is None:
            raise InputError("a point is needed: --point N of --data, or --x NUMBERS")
        if self.point is not None and self.data is None:
            raise InputError("--point N is a point of --data")
        if self.label is not None and self.data is None:
            raise InputError("--label names a column of --data")
        given = None if self.x is None else parse_numbers(self.x, "--x")
        points = None if self.data is None else read_points(self.data, self.subset.value, label=self.label, targets=True)
        inputs = self.inputs
        if points is None and inputs is None and given is not None and ":" in self.model:
            net = load_model(self.model, tp.LabelledData(torch.zeros(2, *given.shape), None, "--x"), self.weights, self.arg)
        else:
            net = load_model(self.model, points, self.weights, self.arg, inputs)
        if given is not None:
            return ModelAt(net, shaped(given, net, "--x"), points, {"kind": "x"})
        if self.point is None:
            return ModelAt(net, None, points, {})
        assert points is not None
        if self.point >= len(points):
            raise InputError(f"--point {self.point}: {points.name} has the points 0 … {len(points) - 1}")
        x = points.inputs[self.point].double().numpy()
        return ModelAt(net, x, points, {"kind": "data", "data": points.name, "subset": self.subset.value, "index": self.point})


def parse_numbers(text: str, option: str) -> np.ndarray:
    """Numbers as an option gives them, in float64.

    Raises:
        InputError: no such file, something else than numbers, or a number that is not finite.

    >>> parse_numbers("0.5,-1", "--x").tolist()
    [0.5, -1.0]
    """
    import numpy as np

    if text.endswith(".npy"):
        try:
            found = np.load(text, allow_pickle=False).astype(np.float64)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a .npy file of numbers"
            raise InputError(f"{option} {text}: {reason}") from None
    else:
        try:
            found = np.array([float(part) for part in text.split(",")])
        except ValueError:
            raise InputError(f"{option} {text!r}: {NUMBERS_HELP} are needed") from None
    wrong = np.flatnonzero(~np.isfinite(found.ravel()))
    if len(wrong):
        raise InputError(f"{option}: number {wrong[0]} is {found.ravel()[wrong[0]]}; all must be finite")
    return found


def shaped(numbers: np.ndarray, net: tp.PiecewiseLinearNetwork, option: str) -> np.ndarray:
    """Numbers in the shape of an input of a network.

    Raises:
        InputError: another number of numbers.
    """
    size = math.prod(net.input_shape)
    if numbers.size != size:
        shape = " × ".join(map(str, net.input_shape))
        raise InputError(f"{option} has {numbers.size} numbers; the model takes {size} ({shape})")
    return numbers.reshape(net.input_shape)


def make_box(at: ModelAt, given: BoxOptions) -> tuple[tp.Box, dict[str, Any]]:
    """The box of the options ``--box``, or ``--radius`` and ``--clip``, and its description.

    Raises:
        InputError: no box or two, or an empty one.
    """
    import numpy as np

    import tropica as tp

    box, radius, clip = given.box, given.radius, given.clip
    if (box is None) == (radius is None):
        raise InputError("one domain is needed: --box LO HI, or --radius R around --point N or --x NUMBERS")
    if clip is not None and radius is None:
        raise InputError("--clip goes with --radius")
    if box is not None:
        lo, hi = (_end(text, at.net) for text in box)
        return tp.Box(lo, hi), {"kind": "box", "lo": _brief(lo), "hi": _brief(hi)}
    if at.x is None:
        raise InputError("--radius R is around a point: --point N of --data, or --x NUMBERS")
    if not (math.isfinite(radius or 0) and (radius or 0) > 0):
        raise InputError(f"--radius must be a positive number; found {radius}")
    x = at.x.ravel()
    lo, hi = x - radius, x + radius
    if clip is not None:
        lo, hi = np.maximum(lo, clip[0]), np.minimum(hi, clip[1])
        if (lo > hi).any():
            raise InputError(f"--clip {clip[0]} {clip[1]} leaves no box around the point")
    return tp.Box(lo, hi), {"kind": "around", **{f"point_{k}": v for k, v in at.about.items()}, "radius": radius, "clip": clip}


def _end(text: str, net: tp.PiecewiseLinearNetwork) -> np.ndarray:
    """One end of a box, flat."""
    import numpy as np

    numbers = parse_numbers(text, "--box").ravel()
    return np.full(math.prod(net.input_shape), numbers[0]) if len(numbers) == 1 else shaped(numbers, net, "--box").ravel()


def _brief(end: np.ndarray) -> float | list[float]:
    """An end of a box: one number where all are equal."""
    return float(end[0]) if (end == end[0]).all() else end.tolist()
