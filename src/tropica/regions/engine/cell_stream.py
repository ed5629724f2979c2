"""The cells of a lowered network on any domain, as a stream of blocks in a fixed order."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Generator
from dataclasses import replace
from threading import Lock
from weakref import WeakKeyDictionary

import numpy as np

from tropica.regions.domains.constructors import Space
from tropica.regions.domains.domain import Domain
from tropica.regions.engine.cell_blocks import (
    SIGNS,
    VERTICES,
    VOLUMES,
    CellBlock,
    Problem,
    Sizes,
    check_dimension,
    concatenated,
    make_problem,
    search_blocks,
)
from tropica.regions.engine.cone_cells import in_space, touches_wall
from tropica.regions.engine.fan import SpaceProblem, make_space_problem
from tropica.regions.engine.joined_cells import joined_cells
from tropica.regions.engine.tasks import Counters, Spare, Task
from tropica.regions.lower.lowering import Lowered

_SMALL = 1 << 16
"""Products of integers that the rows of one sign vector take, up to which a network on a domain is kept."""
_KEPT = 4
_PROBLEMS: WeakKeyDictionary[Lowered, OrderedDict[object, Problem | SpaceProblem]] = WeakKeyDictionary()
"""The last problems of a lowered network, as long as it is. Their exact signs, which remember, are made afresh for each use."""
_LOCK = Lock()
Skip = Callable[[Problem, Task], bool]
"""Whether nothing below a task is wanted."""


def problem_on(lowered: Lowered, domain: Domain) -> Problem | SpaceProblem:
    """Lay a lowered network on a domain out for the kernels.

    Raises:
        InputError: the dimension is out of reach.
    """
    check_dimension(domain.dimension)
    key = _key(domain)
    with _LOCK:
        known = _PROBLEMS.setdefault(lowered, OrderedDict())
        found = known.get(key)
    if found is None:
        found = make_space_problem(lowered, domain) if isinstance(domain, Space) else make_problem(lowered, domain)
        if found.exact.proves and found.exact.products <= _SMALL:
            found = replace(found, spare=Spare()) if isinstance(found, Problem) else found
            with _LOCK:
                known[key] = found
                while len(known) > _KEPT:
                    known.popitem(last=False)
    return found.fresh()


def _key(domain: Domain) -> object:
    """Equal for domains with equal points and facets, in one order."""
    if isinstance(domain, Space):
        return domain.dimension
    faces = (domain.exact_vertices, domain.halfspaces)
    return domain.origin.tobytes(), domain.basis.tobytes(), *((str(f.numerators.tolist()), f.denominator) for f in faces)


def stream(
    problem: Problem | SpaceProblem,
    want: frozenset[str],
    *,
    threads: int = 1,
    window: int = 8,
    sizes: Sizes | None = None,
    counters: Counters | None = None,
    skip: Skip | None = None,
) -> Generator[CellBlock]:
    """Yield the cells in blocks. Of all of space those that a wall of the fan cuts come last, and they alone are kept."""
    options = {"threads": threads, "window": window, "sizes": sizes or Sizes(), "counters": counters}
    if isinstance(problem, Problem):
        own = None if skip is None else lambda task: skip(problem, task)
        yield from search_blocks(problem, want, **options, skip=own)
        return
    asked = (want | {SIGNS, VERTICES}) - {VOLUMES}
    parts: list[tuple[int, CellBlock]] = []
    sections = problem.sections if not want and skip is None else None
    for i, cone in enumerate(sections or problem.cones):
        own = None if skip is None else lambda task, cone=cone: skip(cone, task)
        for found in search_blocks(cone, asked, **options, skip=own):
            cut = touches_wall(found, problem.dimension)
            block = in_space(problem, i, found, want)
            if cut.any():
                parts.append((i, block.select(cut)))
            if not cut.all():
                yield block.select(~cut).only(want)
    if parts:
        yield joined_cells(problem, parts).only(want)


def unjoined(problem: SpaceProblem, want: frozenset[str]) -> tuple[np.ndarray, CellBlock]:
    """The parts of all cells of space in the cones of the fan: the cone (n,) of each, and the parts in t."""
    cones, parts = [], []
    for i, cone in enumerate(problem.cones):
        for found in search_blocks(cone, want | {SIGNS, VERTICES}):
            parts.append(in_space(problem, i, found, want))
            cones.append(np.full(len(found), i))
    return np.concatenate(cones), concatenated(parts)
