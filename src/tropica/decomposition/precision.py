"""The precision that terms need, and what to do where no precision is enough.

F⁻ may be 10¹⁵ times N, and N^(X) is a difference of values of F⁻. The digits of f(x) that each precision leaves follow from the
size of F⁻ and of its gradient at a few points, before terms are extracted. Where they are not enough, in this order:

1. the coarsest precision that leaves enough of them: float32, float64, double-double (∇F⁻ and F⁻ in pairs of float64);
2. the minimal decomposition, whose F⁻ is smaller, in float64 and then in double-double;
3. the minimal decomposition with one factor per nonlinearity, where one factor cannot shrink F⁻;
4. a CertificateError that says what was tried.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from tropica.data.passes import DataPass
from tropica.decomposition.backward import batch_terms
from tropica.decomposition.blocks import empty_block, write_block
from tropica.decomposition.dc_decomposition import DCDecomposition
from tropica.decomposition.double_double_pass import minus_terms
from tropica.decomposition.minimal import PER, minimal_decomposition
from tropica.decomposition.own_terms import OwnTerms
from tropica.decomposition.prepare import Extraction, decomposition_for, fitted
from tropica.errors import CertificateError
from tropica.runtime.processes import SINGLE_PROCESS, Processes
from tropica.terms.certificate import LEAST_DIGITS, UNITS, digits_of

WANTED_DIGITS = {"float32": 3.2, "float64": 5.0, "double-double": 5.0}
"""The digits, by the bound of the certificate, below which the next precision is taken. The error is mostly ten times smaller
than the bound."""

POINTS = 16
"""The points whose terms are measured."""


class MorePrecision(Exception):
    """Terms of the precision at hand would leave too few digits of f(x), and a finer precision is allowed.

    Attributes:
        step: what was tried, and what came of it.
        after: the precision that has failed its certificate, if one has.
    """

    def __init__(self, step: str, after: str = "") -> None:
        super().__init__(step)
        self.step, self.after = step, after


def first_own_terms(decomposition: DCDecomposition, data_pass: DataPass) -> OwnTerms:
    """The own terms, with their sizes, of the first points of the data."""
    plain = replace(decomposition, double_double=False)
    first = next(number for number, length in enumerate(data_pass.lengths) if length)
    x = next(data_pass.iter_batches([first]))[: POINTS * data_pass.repeat]
    found = batch_terms(plain, x)
    center = found.minus.double().mean(0)
    block = empty_block(plain.net, len(x), plain.net.dtype)
    write_block(found, x, center, block)
    flat = x.flatten(1)
    return OwnTerms.of(flat, block, found.margin, center, flat.double().mean(0))


def predicted_digits(decomposition: DCDecomposition, data_pass: DataPass) -> float:
    """The digits of f(x) that the precision of the decomposition leaves, by the sizes of the first terms."""
    own = first_own_terms(decomposition, data_pass)
    return digits_of(own.tolerance(decomposition.precision), own.scale(decomposition.net.num_targets))


def require_digits(decomposition: DCDecomposition, data_pass: DataPass, processes: Processes = SINGLE_PROCESS) -> None:
    """Raise MorePrecision if the decomposition's own precision leaves fewer digits than are wanted."""
    precision = decomposition.precision
    digits = _digits(decomposition, data_pass, processes)
    if not digits >= WANTED_DIGITS[precision]:
        raise MorePrecision(_step(decomposition, digits))


def _step(decomposition: DCDecomposition, digits: float) -> str:
    return f"{describe(decomposition)} leaves {digits:.1f} digits"


@contextlib.contextmanager
def asking_for_more(may_escalate: bool) -> Iterator[None]:
    """Turn the CertificateError of a decomposition that rounding spoils into MorePrecision, if a finer one is allowed."""
    try:
        yield
    except CertificateError as error:
        if not may_escalate:
            raise
        raise MorePrecision(str(error)) from error


def escalate(
    extraction: Extraction, decomposition: DCDecomposition | str, needed: MorePrecision, **settings: Any
) -> DCDecomposition:
    """The decomposition, in the precision, that leaves enough digits where the first one did not.

    A named decomposition but the paper's may give way to the minimal one.

    Args:
        extraction: the extraction in float64.
        decomposition: the decomposition that was asked for.
        needed: what was tried.
        settings: memory, processes and progress, as for ``decomposition_for``.

    Raises:
        CertificateError: nothing leaves enough digits; the message lists what was tried, with the digits.
    """
    if isinstance(decomposition, str):  # K again, in float64, and checked at every point
        base = decomposition_for(extraction, "calibrated" if decomposition == "minimal" else decomposition, **settings)
    else:
        base = fitted(decomposition, extraction.net, at=extraction.identity.at)
    steps, best = [needed.step], None
    for made in _candidates(extraction, base, decomposition, steps, needed.after, settings):
        digits = _digits(made, extraction.data_pass, settings["processes"])
        if best is None or digits > best[0]:
            best = (digits, replace(made, escalations=tuple(steps)))
        if digits >= WANTED_DIGITS[made.precision]:
            break
        if (step := _step(made, digits)) not in steps:
            steps.append(step)
    if best is not None and best[0] >= LEAST_DIGITS:
        return best[1]
    advice = (
        "Extract from an inner layer (at=), which fewer layers follow, or on fewer points"
        if isinstance(decomposition, str) and decomposition != "paper"
        else "Use decomposition='minimal' or 'calibrated', so that another decomposition can be tried"
    )
    raise CertificateError(
        f"no precision leaves {LEAST_DIGITS:.0f} digits of f(x), as F⁻ is too large beside N: {'; '.join(steps)}. {advice}"
    )


def _candidates(
    extraction: Extraction,
    base: DCDecomposition,
    asked: DCDecomposition | str,
    steps: list[str],
    after: str,
    settings: dict[str, Any],
) -> Iterator[DCDecomposition]:
    """The decompositions to try, one after another; what fails is added to ``steps``."""
    data_pass, precisions = extraction.data_pass, ["float64"]
    if extraction.stored_dtype == torch.float64:
        try:
            minus_terms(base, next(iter(data_pass))[:1])
            precisions.append("double-double")
        except CertificateError as error:
            steps.append(str(error))
    if asked != "minimal":
        failed = list(UNITS).index(after) if after else -1
        yield from (base.in_precision(one) for one in precisions if list(UNITS).index(one) > failed)
    if not isinstance(asked, str) or asked == "paper":
        return
    for per in PER:
        for precision in precisions:
            try:
                yield minimal_decomposition(base.in_precision(precision), data_pass, per=per, **settings)
            except CertificateError as error:
                steps.append(f"minimal, one factor per {per}, in {precision}: {error}")


def _digits(decomposition: DCDecomposition, data_pass: DataPass, processes: Processes) -> float:
    return processes.run_on_first(lambda: predicted_digits(decomposition, data_pass))


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
