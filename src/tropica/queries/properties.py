"""``Property``: what is not allowed of the outputs, and VNN-LIB files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from tropica.errors import DataError, InputError
from tropica.exact.rational_arrays import RationalArray, from_fractions, rational_array, to_fraction
from tropica.runtime.arithmetic import own_settings
from tropica.runtime.html import HtmlRepr


@dataclass(frozen=True, eq=False)
class Unsafe:
    """A conjunction A y ≤ b of conditions on the outputs that must not hold together, exactly: rows (m, s + 1) [A | b]."""

    rows: RationalArray

    @property
    def outputs(self) -> int:
        """How many outputs there are."""
        return self.rows.numerators.shape[1] - 1

    def holds(self, y: Sequence[Fraction]) -> bool:
        """Whether outputs satisfy all conditions."""
        return all(sum(int(a) * v for a, v in zip(r[:-1], y, strict=True)) <= int(r[-1]) for r in self.rows.numerators)


@dataclass(frozen=True, eq=False, repr=False)
class Property(HtmlRepr):
    """A property of a network: no point of a box has outputs in an unsafe set.

    Attributes:
        cases: pairs of a box and unsafe conjunctions, any of which violates the property in that box. A box is (2, D) exact
            numbers, lo and hi; or None for the domain that :func:`tropica.verify` is given.
        name: a name for people.

    >>> import tropica as tp
    >>> tp.Property.label(1, 3)
    Property(label 1: 1 boxes, 2 unsafe sets)
    >>> tp.Property.unsafe(([[1.0, -1.0]], [0.0]), name="output 0 above output 1")
    Property(output 0 above output 1: 1 boxes, 1 unsafe sets)
    """

    cases: tuple[tuple[RationalArray | None, tuple[Unsafe, ...]], ...]
    name: str = "property"

    @classmethod
    def unsafe(cls, *conjunctions: tuple[Any, Any], name: str = "property") -> Property:
        """The property that no (A, b) of these has A y ≤ b.

        Raises:
            InputError: shapes that do not fit.
        """
        return cls(((None, tuple(_conjunction(a, b) for a, b in conjunctions)),), name)

    @classmethod
    def label(cls, label: int, outputs: int) -> Property:
        """The property that output ``label`` is the largest of all, alone.

        Raises:
            InputError: no such output, or fewer than two.
        """
        if not 0 <= label < outputs or outputs < 2:
            raise InputError(f"label must be one of 2 or more outputs; found {label} of {outputs}")
        rows = [np.eye(outputs)[label] - np.eye(outputs)[k] for k in range(outputs) if k != label]
        return cls.unsafe(*[([row], [0.0]) for row in rows], name=f"label {label}")

    @classmethod
    def above(cls, output: int, level: Any, outputs: int) -> Property:
        """The property that an output is above a level."""
        return cls.unsafe(([np.eye(outputs)[output]], [level]), name=f"output {output} > {level}")

    @classmethod
    def below(cls, output: int, level: Any, outputs: int) -> Property:
        """The property that an output is below a level."""
        return cls.unsafe(([-np.eye(outputs)[output]], [-to_fraction(level, "level")]), name=f"output {output} < {level}")

    def __repr__(self) -> str:
        return f"Property({self.name}: {len(self.cases)} boxes, {sum(len(u) for _, u in self.cases)} unsafe sets)"


def _conjunction(a: Any, b: Any) -> Unsafe:
    left, right = rational_array(a, "A", 2), rational_array(b, "b", 1)
    if len(left.numerators) != len(right.numerators) or not len(left.numerators):
        raise InputError(f"A must be (m, outputs) and b (m,), m ≥ 1; found {left.numerators.shape}, {right.numerators.shape}")
    numbers = [*zip(left.numbers().tolist(), right.numbers().tolist(), strict=True)]
    flat = [Fraction(v) for row, bound in numbers for v in (*row, bound)]
    return Unsafe(from_fractions(flat, (len(numbers), left.numerators.shape[1] + 1)))


# ── VNN-LIB ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


@own_settings()
def load_property(path: str | Path) -> Property:
    """Read a property from a VNN-LIB file: declarations of X_i and Y_j, and assertions of ``and``, ``or``, ``<=``, ``>=``.

    Terms are sums and products with numbers of variables; decimals are read exactly. Inputs must be bounded on both sides by
    conditions on single variables. The file describes a counterexample; the property is that there is none.

    Raises:
        DataError: no such file, or something else in it; the error says where.

    >>> import pathlib, tempfile
    >>> text = "(declare-const X_0 Real)(declare-const Y_0 Real)(assert (>= X_0 -0.1))(assert (<= X_0 0.1))(assert (>= Y_0 3))"
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "p.vnnlib"
    >>> _ = path.write_text(text)
    >>> load_property(path)
    Property(p.vnnlib: 1 boxes, 1 unsafe sets)
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf8")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from None
    try:
        return Property(_cases(_parsed(text)), file.name)
    except (_Unread, ValueError, ZeroDivisionError, IndexError) as error:
        raise DataError(f"{path} is no VNN-LIB file of linear conditions: {error}") from None


class _Unread(Exception):
    """What is wrong in a file."""


Tree = Any
Condition = tuple[dict[str, Fraction], Fraction]
"""Σ coefficient · variable ≤ bound."""


def _parsed(text: str) -> list[Tree]:
    tokens = " ".join(line.split(";")[0] for line in text.splitlines()).replace("(", " ( ").replace(")", " ) ").split()
    stack: list[list[Tree]] = [[]]
    for token in tokens:
        if token == "(":
            stack.append([])
        elif token == ")":
            if len(stack) == 1:
                raise _Unread("a ) too many")
            done = stack.pop()
            stack[-1].append(done)
        else:
            stack[-1].append(token)
    if len(stack) > 1:
        raise _Unread("a ) is missing")
    return stack[0]


def _cases(commands: list[Tree]) -> tuple[tuple[RationalArray | None, tuple[Unsafe, ...]], ...]:
    names: list[str] = []
    disjuncts: list[list[Condition]] = [[]]
    for command in commands:
        match command:
            case ["declare-const" | "declare-fun", str(name), *_]:
                names.append(name)
            case ["assert", tree]:
                disjuncts = [[*a, *b] for a, b in product(disjuncts, _dnf(tree))]
                if len(disjuncts) > 1 << 16:
                    raise _Unread("more than 65,536 disjuncts")
            case ["set-logic" | "check-sat" | "get-model" | "exit" | "set-info" | "set-option", *_]:
                pass
            case _:
                raise _Unread(f"{command!r} is not understood")
    inputs, outputs = (sum(n.startswith(f"{v}_") for n in names) for v in "XY")
    if not inputs or not outputs or set(names) != {*(f"X_{i}" for i in range(inputs)), *(f"Y_{j}" for j in range(outputs))}:
        raise _Unread(f"variables must be X_0 … and Y_0 …; found {', '.join(names[:8]) or 'none'}")
    boxes: dict[tuple[Fraction, ...], list[Unsafe]] = {}
    for conditions in disjuncts:
        box = _box([c for c in conditions if any(n.startswith("X") for n in c[0])], inputs)
        rows = [_row(c, outputs) for c in conditions if not any(n.startswith("X") for n in c[0])]
        if not rows:
            raise _Unread("a disjunct has no condition on outputs")
        if box is not None:
            boxes.setdefault(box, []).append(Unsafe(from_fractions([v for r in rows for v in r], (len(rows), outputs + 1))))
    if not boxes:
        raise _Unread("the inputs' bounds exclude each other")
    return tuple((from_fractions(box, (2, inputs)), tuple(unsafe)) for box, unsafe in boxes.items())


def _dnf(tree: Tree) -> list[list[Condition]]:
    match tree:
        case ["and", *parts]:
            return [[c for part in chosen for c in part] for chosen in product(*map(_dnf, parts))]
        case ["or", *parts]:
            return [conditions for part in parts for conditions in _dnf(part)]
        case ["<=", a, b]:
            return [[_condition(a, b)]]
        case [">=", a, b]:
            return [[_condition(b, a)]]
        case ["=", a, b]:
            return [[_condition(a, b), _condition(b, a)]]
    raise _Unread(f"{_text(tree)} is no condition with and, or, <=, >=, =")


def _condition(small: Tree, large: Tree) -> Condition:
    left, right = _linear(small), _linear(large)
    for name, value in right.items():
        left[name] = left.get(name, Fraction(0)) - value
    bound = -left.pop("", Fraction(0))
    return {n: v for n, v in left.items() if v}, bound


def _linear(tree: Tree) -> dict[str, Fraction]:
    match tree:
        case str(name) if name[0] in "XY":
            return {name: Fraction(1)}
        case str(number):
            return {"": Fraction(number)}
        case ["+", *parts]:
            total: dict[str, Fraction] = {}
            for part in map(_linear, parts):
                for name, value in part.items():
                    total[name] = total.get(name, Fraction(0)) + value
            return total
        case ["-", part]:
            return {n: -v for n, v in _linear(part).items()}
        case ["-", first, *rest]:
            return _linear(["+", first, *(["-", part] for part in rest)])
        case ["*", a, b]:
            one, two = _linear(a), _linear(b)
            if set(two) <= {""}:
                one, two = two, one
            if set(one) <= {""}:
                return {n: v * one.get("", Fraction(0)) for n, v in two.items()}
    raise _Unread(f"{_text(tree)} is not linear")


def _box(conditions: list[Condition], inputs: int) -> tuple[Fraction, ...] | None:
    """lo and hi of all inputs in one row; None if they exclude each other."""
    low: list[Fraction | None] = [None] * inputs
    high: list[Fraction | None] = [None] * inputs
    for terms, bound in conditions:
        if len(terms) != 1:
            raise _Unread("conditions on inputs must be on one input each, without outputs")
        ((name, factor),) = terms.items()
        i, value = int(name[2:]), bound / factor
        if factor > 0:
            high[i] = value if high[i] is None else min(high[i], value)  # type: ignore[type-var]
        else:
            low[i] = value if low[i] is None else max(low[i], value)  # type: ignore[type-var]
    for i, (a, b) in enumerate(zip(low, high, strict=True)):
        if a is None or b is None:
            raise _Unread(f"X_{i} has no {'lower' if a is None else 'upper'} bound")
        if a > b:
            return None
    return tuple(v for v in (*low, *high) if v is not None)


def _row(condition: Condition, outputs: int) -> list[Fraction]:
    terms, bound = condition
    return [*(terms.get(f"Y_{j}", Fraction(0)) for j in range(outputs)), bound]


def _text(tree: Tree) -> str:
    text = tree if isinstance(tree, str) else "(" + " ".join(map(_text, tree)) + ")"
    return text if len(text) < 80 else text[:77] + "…"
