"""The view Planes: the cells of a network on the part of a plane that is in view, layer by layer, as they are found."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

import tropica as tp
from tropica.app.encoding import AddressQuery, packed
from tropica.app.inputs import METHODS, Inputs
from tropica.app.session import Session

MOST_CELLS, FIRST_CELLS, MOST_SECONDS = 20_000, 6_000, 30.0
"""Cells that a view shows; those of a layer up to which the next layer is shown as well; seconds that a layer may take."""
SAMPLES = 96
"""Samples a side of the picture that stands below the cells until they are there."""


@dataclass(frozen=True, eq=False)
class Flat:
    """The inputs origin + t · basis with t in ``low`` … ``high``.

    Attributes:
        origin, basis: (d,) and (k, d).
        low, high: (k,) what is in view.
        marks: coordinates t and names of the points that it goes through.
        axes: names of the coordinates.
    """

    origin: np.ndarray
    basis: np.ndarray
    low: list[float]
    high: list[float]
    marks: list[tuple[str, list[float]]]
    axes: tuple[str, str]

    @property
    def domain(self) -> tp.Domain:
        """What is in view, for the library."""
        inner = tp.Box(self.low, self.high)
        whole = self.basis.shape[0] == self.basis.shape[1] and np.array_equal(self.basis, np.eye(len(self.basis)))
        return inner if whole and not self.origin.any() else tp.Slice(self.origin, self.basis, inner)

    def embed(self, t: np.ndarray, inputs: Inputs) -> torch.Tensor:
        """The inputs at coordinates t (n, k), in float64."""
        return torch.from_numpy(t @ self.basis + self.origin).reshape(-1, *inputs.net.input_shape)


def find_point(inputs: Inputs, name: str) -> np.ndarray:
    """The input that "test:8", "training:3" or "numbers:0.5/1" names, flat and in float64."""
    kind, _, number = name.partition(":")
    if kind in ("test", "training") and number.isdecimal():
        return inputs.points(kind, [int(number)])[0].flatten().double().numpy()
    if kind == "numbers":
        found = AddressQuery({kind: number.replace("/", ",")}).numbers(kind)
        if len(found) == int(np.prod(inputs.net.input_shape)):
            return np.array(found)
    raise tp.InputError(f"a point is named as test:8, training:3 or numbers:0.5/1 (all inputs); found {name[:60]!r}")


def find_direction(inputs: Inputs, name: str) -> np.ndarray:
    """The direction that "axis:3" (an input) or "random:7" (a seed; of length 1) names."""
    kind, _, number = name.partition(":")
    d = int(np.prod(inputs.net.input_shape))
    if kind in ("axis", "random") and number.isdecimal() and (kind == "random" or int(number) < d):
        if kind == "axis":
            return np.eye(d)[int(number)]
        found = np.random.default_rng(int(number)).standard_normal(d)
        return found / np.linalg.norm(found)
    raise tp.InputError(f"a direction is axis:3, an input up to {d - 1}, or random:7, a seed; found {name[:60]!r}")


def find_flat(session: Session, query: AddressQuery) -> Flat:
    """The plane that an address names: three ``points``; or a ``center`` and two ``directions``; all inputs if they are two."""
    inputs = session.inputs
    d = int(np.prod(inputs.net.input_shape))
    points, center = [p for p in query.text("points", "").split(",") if p], query.text("center", "")
    if points:
        if len(points) != 3:
            raise tp.InputError(f"a plane goes through three points; found {len(points)}")
        a, b, c = (find_point(inputs, name) for name in points)
        origin, basis, low, high = a, np.stack([b - a, c - a]), [-0.25, -0.25], [1.25, 1.25]
        marks = list(zip(points, [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], strict=True))
        axes = (f"towards {points[1]}", f"towards {points[2]}")
    elif center:
        names = query.text("directions", "random:0,random:1").split(",")
        if len(names) != 2:
            raise tp.InputError(f"a plane has two directions; found {len(names)}")
        origin, basis = find_point(inputs, center), np.stack([find_direction(inputs, name) for name in names])
        low, high, marks, axes = [-1.0, -1.0], [1.0, 1.0], [(center, [0.0, 0.0])], (names[0], names[1])
    elif d == 2:
        origin, basis = np.zeros(2), np.eye(2)
        low, high, marks = *_range_of(inputs), []
        names = None if inputs.test is None else inputs.test.feature_names
        axes = (names[0], names[1]) if names else ("x0", "x1")
    else:
        raise tp.InputError("name three points, or a center and two directions")
    if np.linalg.matrix_rank(basis) < 2:
        raise tp.InputError("the points lie on one line, or the directions are parallel: they span no plane")
    low, high = query.numbers("low", 2, ",".join(map(str, low))), query.numbers("high", 2, ",".join(map(str, high)))
    if not all(b > a for a, b in zip(low, high, strict=True)):
        raise tp.InputError(f"low must be below high; found {low} and {high}")
    return Flat(origin, basis, low, high, marks, axes)


def _range_of(inputs: Inputs) -> tuple[list[float], list[float]]:
    """The corners of a box around the test points of a network of two inputs."""
    if inputs.test is None:
        return [-1.0, -1.0], [1.0, 1.0]
    x = inputs.test.inputs.flatten(1)
    low, high = x.min(0).values, x.max(0).values
    edge = (high - low).clamp(min=1e-3) * 0.1
    return (low - edge).tolist(), (high + edge).tolist()


def plane(session: Session, query: AddressQuery) -> dict[str, Any]:
    """Where a plane lies, and the lines that make its cells."""
    inputs, flat = session.inputs, find_flat(session, query)
    gram = flat.basis @ flat.basis.T
    return {
        "origin": packed(flat.origin),
        "basis": packed(flat.basis),
        "low": flat.low,
        "high": flat.high,
        "marks": [{"name": name, "t": t} for name, t in flat.marks],
        "axes": flat.axes,
        "gram": gram,
        "metric": np.linalg.inv(gram),
        "levels": [node.path or node.name for node in inputs.net.nonlinearities],
        "python": f"{inputs.lines}{domain_lines(query)}cx = tp.linear_regions(net, domain)\nprint(cx)\n",
    }


def cells(session: Session, query: AddressQuery) -> Iterator[dict[str, Any]]:
    """The cells in view in blocks, the first layers first; the last level has the affine maps of the scores.

    A deeper level follows as long as there are few enough cells: the picture of a level is refined by that of the next.
    """
    inputs, domain = session.inputs, find_flat(session, query).domain
    net, depth = inputs.net, len(inputs.net.nonlinearities)
    asked = query.integer("level", depth, 0, depth)
    levels = sorted({0, max(0, asked - 1) // 2, asked})  # one of the first layers, one half way, all that are asked for
    for level in levels:
        most = MOST_CELLS if level == asked else FIRST_CELLS
        if not (yield from _level(net, domain, level, most)) and level < asked:
            yield from _level(net, domain, asked, MOST_CELLS)  # what is asked for, as far as it goes
            return


def _level(net: tp.PiecewiseLinearNetwork, domain: tp.Domain, level: int, most: int) -> Generator[dict[str, Any], None, bool]:
    """The blocks of a level and their end; whether they are all cells in view.

    A stream that a limit ended does not say so: one that was shorter than both limits, by this clock, was not ended.
    """
    nodes = [node.name for node in net.nonlinearities]
    last, found, start = level == len(nodes), 0, time.monotonic()
    arrays, upto = (["vertices", "maps"], None) if last else (["vertices"], nodes[level])
    for block in tp.iter_cells(net, domain, arrays=arrays, upto=upto, max_cells=most, max_seconds=MOST_SECONDS):
        found += len(block)
        yield _block(net, block, level, last)
    complete = found < most and time.monotonic() - start < MOST_SECONDS
    yield {"level": level, "done": True, "cells": found, "complete": complete}
    return complete


def polygons(block: tp.CellBlock) -> tuple[np.ndarray, np.ndarray]:
    """Where the corners of each cell start (n + 1,), and the corners (N, 2), in order around each cell."""
    assert block.vertices is not None
    assert block.vertex_start is not None
    cell = np.repeat(np.arange(len(block)), np.diff(block.vertex_start))
    away = block.vertices - block.centers()[cell]
    return block.vertex_start, block.vertices[np.lexsort([np.arctan2(away[:, 1], away[:, 0]), cell])]


def _block(net: tp.PiecewiseLinearNetwork, block: tp.CellBlock, level: int, last: bool) -> dict[str, Any]:
    """Cells for the page: their corners, and the scores as affine functions of t."""
    starts, corners = polygons(block)
    found = {"level": level, "starts": packed(starts, "int32"), "corners": packed(corners)}
    if last:
        maps = torch.from_numpy(np.ascontiguousarray(block.maps)).movedim(1, 2)
        scores = net.as_scores(maps.reshape(-1, maps.shape[2])).reshape(len(block), maps.shape[1], -1).movedim(1, 2)
        found["maps"] = packed(scores)
    return found


def sample(session: Session, query: AddressQuery) -> dict[str, Any]:
    """Labels and margins of the network on a grid of the view: what is shown until the cells are there.

    In regression the values of one output take the place of the margins.
    """
    inputs, flat = session.inputs, find_flat(session, query)
    sides = [np.linspace(a, b, 2 * SAMPLES + 1)[1::2] for a, b in zip(flat.low, flat.high, strict=True)]
    t = np.stack(np.meshgrid(*sides), -1).reshape(-1, 2)
    with torch.no_grad():
        scores = inputs.net.scores(flat.embed(t, inputs).to(inputs.net.dtype))
    if inputs.regression:
        value = scores[:, query.integer("output", 0, 0, inputs.net.num_outputs - 1)]
        return {"side": SAMPLES, "label": packed(torch.zeros(len(t)), "int32"), "margin": packed(value)}
    two = scores.topk(min(2, scores.shape[1]), 1).values
    margin = two[:, 0] - two[:, -1]
    return {"side": SAMPLES, "label": packed(scores.argmax(1), "int32"), "margin": packed(margin)}


def counts(session: Session, query: AddressQuery) -> dict[str, Any]:
    """The cells, linear regions and affine maps in view, and the length of the boundary, with their certificate."""
    flat = find_flat(session, query)
    cx = tp.linear_regions(session.inputs.net, flat.domain, max_cells=MOST_CELLS, max_seconds=MOST_SECONDS)
    assert isinstance(cx, tp.RegionComplex)
    found = {"cells": len(cx), "complete": cx.complete}
    if not cx.complete:
        return found
    boundary = cx.boundary().measure if session.inputs.net.num_outputs > 1 and not session.inputs.regression else None
    return found | {"regions": len(cx.regions), "maps": len(cx.maps), "certified": cx.certified, "boundary": boundary}


def at(session: Session, query: AddressQuery) -> dict[str, Any]:
    """One point of a plane: the input, the scores, its activation pattern, coefficients, and N^(X) where it is ready."""
    inputs, flat = session.inputs, find_flat(session, query)
    t = np.array([query.numbers("t", 2)])
    return here(session, query, flat.embed(t, inputs)) | {"t": t[0]}


def here(session: Session, query: AddressQuery, x64: torch.Tensor) -> dict[str, Any]:
    """What is shown of one input (1, *input)."""
    inputs = session.inputs
    x, method = x64.to(inputs.net.dtype), query.word("method", METHODS, session.first_method)
    own, label = tp.local_terms(inputs.net, x)
    if inputs.regression:
        output = query.integer("output", 0, 0, inputs.net.num_outputs - 1)
        own, label = own[[output]], label[[output]]
    pattern = inputs.net.activation_pattern(x)[0].numpy().tobytes()
    extracted = None
    if inputs.test is not None and session.is_ready(method):
        f = session.decided(method).f
        extracted = extracted_at(f, x, 0 if not inputs.regression else query.integer("output", 0, 0, f.num_classes - 1))
    return {
        "x": packed(x.flatten()),
        "scores": inputs.net.scores(x)[0].detach(),
        "label": int(label[0]),
        "own": packed(own.weight[0]),
        "pattern": pattern.hex(),
        "extracted": extracted,
    }


def extracted_at(f: tp.ExtractedFunction, x: torch.Tensor, output: int) -> dict[str, Any]:
    """Label and active term of N^(X) at a point (1, *input); in regression value and active term of an output."""
    active = f.active_term(x).reshape(-1)
    if f.task == "regression":
        return {"label": output, "value": float(f(x)[0, output]), "term": int(active[output])}
    return {"label": int(f.predict(x)[0]), "term": int(active[0])}


def domain_lines(query: AddressQuery) -> str:
    """The Python lines that make the domain of :func:`find_flat`."""
    points, center = query.text("points", ""), query.text("center", "")
    low, high = query.text("low", ""), query.text("high", "")
    box = f"tp.Box([{low}], [{high}])" if low and high else "tp.Box([-0.25, -0.25], [1.25, 1.25])"
    if points:
        names = [point_line(name) for name in points.split(",")]
        return f"import numpy as np\n\na, b, c = {', '.join(names)}\ndomain = tp.Slice(a, np.stack([b - a, c - a]), {box})\n"
    if center:
        lines = ["import numpy as np\n", f"center = {point_line(center)}"]
        for variable, name in zip("uv", query.text("directions", "random:0,random:1").split(","), strict=False):
            kind, _, number = name.partition(":")
            if kind == "axis":
                lines.append(f"{variable} = np.eye(center.size)[{number}]")
            else:
                lines.append(f"{variable} = np.random.default_rng({number}).standard_normal(center.size)")
                lines.append(f"{variable} /= np.linalg.norm({variable})")
        return "\n".join(lines) + f"\ndomain = tp.Slice(center, np.stack([u, v]), {box})\n"
    return f"domain = {box}\n"


def point_line(name: str) -> str:
    kind, _, number = name.partition(":")
    if kind == "numbers":
        return f"np.array([{number.replace('/', ', ')}])"
    return f"{kind}[{number}][0].double().flatten().numpy()"
