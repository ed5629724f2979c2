"""The precision that terms need, and what to do where no precision is enough.

F⁻ may be 10¹⁵ times N, and N^(X) is a difference of values of F⁻. The digits of f(x) that each precision leaves are known before
the terms are extracted: from the size of F⁻ and of its gradient at a few points. Where they are not enough, in this order:

1. the coarsest precision that leaves enough of them: float32, float64, double-double (∇F⁻ and F⁻ in pairs of float64);
2. the minimal decomposition, whose F⁻ is smaller, in float64 and then in double-double;
3. the minimal decomposition with one factor per nonlinearity, where one factor cannot shrink F⁻;
4. a CertificateError that says what was tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from tropica.data.passes import DataPass
from tropica.decomposition.backward import batch_terms
from tropica.decomposition.blocks import empty_block, write_block
from tropica.decomposition.dc_decomposition import DCDecomposition
from tropica.decomposition.double_double_pass import minus_terms
from tropica.decomposition.minimal import minimal_decomposition
from tropica.decomposition.own_terms import OwnTerms
from tropica.errors import CertificateError
from tropica.runtime.processes import SINGLE_PROCESS, Processes
from tropica.runtime.progress import ProgressCallback
from tropica.terms.certificate import LEAST_DIGITS, UNITS, digits_of

WANTED_DIGITS = {"float32": 3.5, "float64": 5.0, "double-double": 5.0}
"""The digits, by the bound of the certificate, below which the next precision is taken. The error is mostly ten times smaller than
the bound."""

POINTS = 16
"""The points whose terms are measured."""


class MorePrecision(Exception):
    """Terms of the precision at hand would leave too few digits of f(x), and a finer precision is allowed.

    Attributes:
        decomposition: the decomposition, if it could be computed.
        step: what was tried, and what came of it.
        after: the precision that has failed its certificate, if one has.
    """

    def __init__(self, decomposition: DCDecomposition | None, step: str, after: str = "") -> None:
        super().__init__(step)
        self.decomposition, self.step, self.after = decomposition, step, after


def predicted_digits(decomposition: DCDecomposition, data_pass: DataPass) -> dict[str, float]:
    """The digits of f(x) that each precision leaves, by the sizes of the terms at the first points of the data."""
    plain = replace(decomposition, double_double=False)
    first = next(number for number, length in enumerate(data_pass.lengths) if length)
    x = next(data_pass.iter_batches([first]))[:POINTS]
    found = batch_terms(plain, x)
    center = found.minus.double().mean(0)
    block = empty_block(plain.net, len(x), plain.net.dtype)
    write_block(found, x, center, block)
    flat = x.flatten(1)
    own = OwnTerms.of(flat, block, found.margin, center, flat.double().mean(0))
    return {precision: digits_of(own.tolerance(precision), own.scale) for precision in UNITS}


def require_digits(decomposition: DCDecomposition, data_pass: DataPass, processes: Processes = SINGLE_PROCESS) -> None:
    """Raise MorePrecision if the decomposition's own precision leaves fewer digits than are wanted."""
    precision = decomposition.precision
    digits = processes.run_on_first(lambda: predicted_digits(decomposition, data_pass)[precision])
    if not digits >= WANTED_DIGITS[precision]:
        raise MorePrecision(decomposition, _step(decomposition, digits))


def _step(decomposition: DCDecomposition, digits: float) -> str:
    return f"{describe(decomposition)} leaves {digits:.1f} digits"


def with_enough_digits(
    decomposition: DCDecomposition,
    data_pass: DataPass,
    *,
    may_shrink: bool,
    double_double: bool = True,
    after: str = "",
    memory: int | None = None,
    processes: Processes = SINGLE_PROCESS,
    progress: ProgressCallback | None = None,
) -> DCDecomposition:
    """The decomposition in the first precision that leaves the wanted digits, or one that grows less.

    Args:
        decomposition: a decomposition of a network in float64.
        data_pass: the points, in float64.
        may_shrink: may another decomposition be computed?
        double_double: may terms be in double-double?
        after: a precision of this decomposition that has failed already.
        memory, processes, progress: as in ``tp.extract``.

    Raises:
        CertificateError: nothing leaves enough digits; the message lists what was tried, with the digits.
    """
    steps = list(decomposition.escalations)
    best: tuple[float, DCDecomposition] | None = None
    candidates = _candidates(decomposition, data_pass, may_shrink, double_double, steps, memory, processes, progress)
    for candidate in candidates:
        if candidate.method == decomposition.method and candidate.precision in ("float64", after) and after not in ("", "float32"):
            continue
        digits = processes.run_on_first(lambda one=candidate: predicted_digits(one, data_pass)[one.precision])
        if best is None or digits > best[0]:
            best = (digits, replace(candidate, escalations=tuple(steps)))
        if digits >= WANTED_DIGITS[candidate.precision]:
            return replace(candidate, escalations=tuple(steps))
        if (step := _step(candidate, digits)) not in steps:
            steps.append(step)
    if best is not None and best[0] >= LEAST_DIGITS:
        return best[1]
    raise CertificateError(
        f"no precision leaves {LEAST_DIGITS:.0f} digits of f(x), as F⁻ is too large beside N: {'; '.join(steps)}. "
        + (
            "Extract from an inner layer (at=), where fewer layers follow, or on fewer points"
            if may_shrink
            else "Use decomposition='minimal', or a method's name, so that another decomposition can be tried"
        )
    )


def _candidates(
    decomposition: DCDecomposition,
    data_pass: DataPass,
    may_shrink: bool,
    double_double: bool,
    steps: list[str],
    memory: int | None,
    processes: Processes,
    progress: ProgressCallback | None,
) -> Iterator[DCDecomposition]:
    """The decompositions to try, one after another; what fails is added to ``steps``."""
    precisions = ["float64"]
    if double_double:
        try:
            x = next(iter(data_pass))[:1]
            minus_terms(decomposition, x)
            precisions.append("double-double")
        except CertificateError as error:
            steps.append(str(error))
    for precision in precisions:
        yield decomposition.in_precision(precision)
    if not may_shrink:
        return
    for per in ("network", "nonlinearity"):
        for precision in precisions:
            settings = {"memory": memory, "processes": processes, "progress": progress}
            try:
                yield minimal_decomposition(decomposition.in_precision(precision), data_pass, per=per, **settings)
            except CertificateError as error:
                steps.append(f"minimal, one factor per {per}, {precision}: {error}")


def describe(decomposition: DCDecomposition) -> str:
    """The method and the precision of a decomposition.

    >>> import torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> describe(tp.decompose(model, torch.randn(10, 4)))
    'calibrated in float32'
    """
    factors = set(decomposition.factors.values())
    per = ", one factor per nonlinearity," if len(factors) > 1 else ""
    return f"{decomposition.method}{per} in {decomposition.precision}"
