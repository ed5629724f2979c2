"""Registry of rules for ONNX ops, and ``Call``: one node of an ONNX graph as a rule sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from torch import Tensor

from tropica.network.builder import Builder, Refused
from tropica.network.readers.per_point import Activation, Operand

Result: TypeAlias = Activation | Tensor | None
Rule: TypeAlias = Callable[[Builder, "Call"], Result | Sequence[Result]]

RULES: dict[str, Rule] = {}
"""Rules by the op's name."""
_MISSING = object()


@dataclass
class Call:
    """One node: its op, the version of the op that the file's opset means, its inputs, and its attributes.

    Attributes:
        op: name of the op.
        version: opset version in which the op got its present meaning.
        inputs: activations and constants; None for one left out.
        outputs: number of outputs.
        attributes: attributes that the node states.
        defaults: attributes that this version of the op has, with their defaults; None for those without.
    """

    op: str
    version: int
    inputs: list[Operand | None]
    outputs: int
    attributes: dict[str, Any]
    defaults: dict[str, Any]
    _read: set[str] = field(default_factory=set)

    def attribute(self, name: str) -> Any:
        """An attribute: as the node states it, else the default of the op's version, else None."""
        self._read.add(name)
        return self.attributes.get(name, self.defaults.get(name))

    def need(self, *names: str, values: Sequence[Any], why: str) -> None:
        """Refuse a node in which one of these attributes has a value that is not among ``values``."""
        for name in names:
            if (found := self.attribute(name)) not in values:
                raise Refused(f"its attribute {name} is {found!r}: {why}")

    def ignore(self, *names: str) -> None:
        """State that attributes have no influence on the outputs that are read."""
        self._read.update(names)

    def unread(self) -> list[str]:
        """Names of stated attributes that no rule has read."""
        return sorted(self.attributes.keys() - self._read)

    def input(self, i: int) -> Operand | None:
        """Input i, or None if it is left out."""
        return self.inputs[i] if i < len(self.inputs) else None

    def activation(self, i: int = 0) -> Activation:
        """Input i, which must be an activation."""
        found = self.input(i)
        if not isinstance(found, Activation):
            raise Refused(f"its input {i} is a constant, and another one depends on the network's input")
        return found

    def constant(self, i: int, what: str) -> Tensor | None:
        """Input i, which must be a constant or left out; ``what`` is its name in the error."""
        found = self.input(i)
        if isinstance(found, Activation):
            raise Refused(f"its {what} depends on the network's input; a constant is needed")
        return found

    def integers(self, i: int, what: str, attribute: str | None = None) -> list[int] | None:
        """Constant integers: input i, or the attribute of older versions; None if neither is given."""
        if attribute is not None and attribute in self.defaults:
            found = self.attribute(attribute)
            return None if found is None else list(found)
        tensor = self.constant(i, what)
        return None if tensor is None else [int(n) for n in tensor.flatten().tolist()]


def op(*names: str) -> Callable[[Rule], Rule]:
    """Register a rule for ONNX ops."""

    def register(rule: Rule) -> Rule:
        for name in names:
            if name in RULES:
                raise ValueError(f"two rules for {name}")
            RULES[name] = rule
        return rule

    return register
