"""What a complex is asked about its network's outputs: integrals, the decision boundary, level sets, images, preimages."""

from __future__ import annotations

from functools import cached_property

from tropica.errors import InputError
from tropica.regions.complex.boundary import Boundary, find_boundary, find_level
from tropica.regions.complex.enumerated import Enumerated
from tropica.regions.complex.integral import Integral, integrate
from tropica.regions.complex.output_sets import Image, Parts, image, preimage
from tropica.regions.domains.domain import Domain, Numbers
from tropica.regions.topology.betti import betti_of
from tropica.regions.topology.parts import check_topology
from tropica.regions.topology.values import VertexValues, output_values
from tropica.runtime.arithmetic import under_own_settings


@under_own_settings
class OutputMethods:
    """A mixin of :class:`RegionComplex`."""

    domain: Domain

    def _enumerated(self, wanted: str) -> Enumerated:
        raise NotImplementedError

    def integral(self) -> Integral:
        """The integral and the mean of each output over the domain, and the share of each label, exactly but for rounding.

        Raises:
            InputError: an unbounded domain; cells that are not all there.

        >>> import torch, tropica as tp
        >>> model = torch.nn.Sequential(torch.nn.Linear(1, 1, bias=False), torch.nn.ReLU()).eval()
        >>> _ = torch.nn.init.ones_(model[0].weight)
        >>> tp.linear_regions(tp.trace(model, torch.zeros(2, 1)), tp.Box(-1, 3, d=1)).integral()
        Integral(volume 4, mean outputs [1.125], label shares [0.25 0.75])
        """
        if self.domain.limits() is None:
            raise InputError("outputs are integrated over bounded domains, as a Box; found all of space")
        found = self._enumerated("integrals")
        if found.stopped is not None:
            raise InputError(f"the cells are not all there, {found.stopped} ended the enumeration: no integral over the domain")
        return integrate(found)

    def boundary(self, level: float | None = None, output: int | None = None) -> Boundary:
        """The decision boundary in the domain, or a level set of an output: exactly, each cell clipped by its outputs.

        Args:
            level: the set where an output has this value. By default where the label changes: the labels are those of
                ``net.predict``, also on areas where several logits are the largest.
            output: which output has the level; not needed where there is one.

        Raises:
            InputError: an output without a level, one that there is not, a level that is no number, a complex from a file
                without its network.

        >>> import torch, tropica as tp
        >>> model = torch.nn.Linear(2, 2).double().eval()
        >>> with torch.no_grad():
        ...     _ = model.weight.copy_(torch.eye(2)), model.bias.zero_()
        >>> cx = tp.linear_regions(tp.trace(model, torch.zeros(2, 2).double()), tp.Box(0, 1, d=2))
        >>> found = cx.boundary()  # the diagonal
        >>> found.labels.tolist(), round(found.measure, 6), cx.boundary(level=0.5, output=1).measure
        ([[0, 1]], 1.414214, 1.0)
        """
        if level is None and output is None:
            return self._boundary
        return find_level(self._enumerated("level sets"), level, output)

    @cached_property
    def _boundary(self) -> Boundary:
        return find_boundary(self._enumerated("boundaries"))

    def betti_numbers(
        self, *, below: float | None = None, above: float | None = None, output: int | None = None, label: int | None = None
    ) -> tuple[int, ...]:
        """The Betti numbers b_0 … b_d over GF(2): components, tunnels, voids …, exactly.

        By default of the whole complex, which is convex: (1, 0, …, 0). Otherwise of a closed set in the domain. Signs at
        vertices are three-valued and exact, so that sets which touch in a point are connected there.

        Args:
            below: the sublevel set {f ≤ below} of an output f.
            above: the superlevel set {f ≥ above}.
            output: which output f is; not needed where there is one.
            label: the closure of the set of this label's points inside of cells. Labels are those of ``net.predict``.

        Raises:
            InputError: all of space as domain, more than 4 dimensions, cells that are not all there; several sets at once.

        >>> import torch, tropica as tp
        >>> net = tp.from_layers([([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]], [0.0] * 4), ([[1.0] * 4], [0.0])])
        >>> cx = tp.linear_regions(net, tp.Box(-1, 1, d=2))  # |x| + |y| on a square
        >>> cx.betti_numbers(below=0.5), cx.betti_numbers(above=0.5), cx.betti_numbers(above=1), cx.betti_numbers(above=1.5)
        ((1, 0, 0), (1, 1, 0), (1, 1, 0), (4, 0, 0))
        """
        return betti_of(self._enumerated("Betti numbers"), below, above, output, label)

    def vertex_values(self, *, output: int | None = None, label: int | None = None, negated: bool = False) -> VertexValues:
        """The values of an output, or of the margin of a label, at all vertices of the complex, with its faces.

        Args:
            output, label: as in :func:`tropica.persistence`, which is made of them.
            negated: of the function times −1.
        """
        found = self._enumerated("values at vertices")
        check_topology(found)
        return output_values(found, output, label, -1 if negated else 1)

    def preimage(self, normals: Numbers, offsets: Numbers) -> Parts:
        """The inputs whose outputs z satisfy A z ≤ b: a polytope for each cell that has some.

        Args:
            normals: A (k, outputs).
            offsets: b (k,).

        Raises:
            InputError: shapes that do not fit the outputs, numbers that are not finite.

        >>> import torch, tropica as tp
        >>> model = torch.nn.Linear(1, 1, bias=False).eval()
        >>> _ = torch.nn.init.constant_(model.weight, 2.0)
        >>> cx = tp.linear_regions(tp.trace(model, torch.zeros(2, 1)), tp.Box(-1, 1, d=1))
        >>> cx.preimage([[1.0]], [1.0]).volume  # 2x ≤ 1
        1.5
        """
        return preimage(self._enumerated("preimages"), normals, offsets)

    def image(self) -> Image:
        """The set of outputs: for each cell the polytope that its map makes of it.

        Raises:
            InputError: an unbounded domain.
        """
        if self.domain.limits() is None:
            raise InputError("the image of a bounded domain is a union of polytopes; found all of space")
        return image(self._enumerated("images"))
