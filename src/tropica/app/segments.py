"""The view of a segment: the outputs between two inputs, every breakpoint and every change of the label."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import tropica as tp
from tropica.app.encoding import AddressQuery, packed
from tropica.app.inputs import Inputs
from tropica.app.planes import find_point, here, point_line
from tropica.app.session import Session


def _ends(session: Session, query: AddressQuery) -> tuple[list[str], tp.Segment]:
    names = [name for name in query.text("points").split(",") if name]
    if len(names) != 2:
        raise tp.InputError(f"a segment has two ends; found {len(names)}")
    return names, tp.Segment(*(find_point(session.inputs, name) for name in names))


def segment(session: Session, query: AddressQuery) -> dict[str, Any]:
    """The scores at all breakpoints, between which they are affine, and the changes of the label."""
    inputs = session.inputs
    names, domain = _ends(session, query)
    found = tp.linear_regions(inputs.net, domain)
    changes = None if inputs.regression else found.label_changes()
    t = torch.from_numpy(found.breakpoints)
    slopes, constants = (torch.from_numpy(array) for array in found.logits)
    first, last = slopes[:, :, 0] * t[:-1, None] + constants, slopes[-1, :, 0] * t[-1] + constants[-1]
    shown = "" if changes is None else ", found.label_changes().t"
    return {
        "names": names,
        "t": packed(t),
        "scores": packed(found.net.as_scores(torch.cat([first, last[None]]))),
        "changes": {"t": [], "labels": []} if changes is None else {"t": changes.t, "labels": changes.labels},
        "label": 0 if inputs.regression else _label(inputs, found.embed(np.zeros((1, 1)))),
        "ends": packed(found.embed(np.array([[0.0], [1.0]])).flatten(1)),
        "cells": len(found.cells),
        "regions": len(found.regions),
        "maps": len(found.maps),
        "certified": found.certified,
        "length": found.volume,
        "python": f"{inputs.lines}import numpy as np\n\na, b = {', '.join(map(point_line, names))}\n"
        "found = tp.linear_regions(net, tp.Segment(a, b))\n"
        f"print(found{shown})\n",
    }


def at_segment(session: Session, query: AddressQuery) -> dict[str, Any]:
    """One point of a segment."""
    _, domain = _ends(session, query)
    (t,) = query.numbers("t", 1)
    x = torch.from_numpy((1 - t) * domain.a + t * domain.b).reshape(1, *session.inputs.net.input_shape)
    return here(session, query, x) | {"t": [t]}


def _label(inputs: Inputs, x: torch.Tensor) -> int:
    return int(inputs.net.to(torch.float64).predict(x)[0])
