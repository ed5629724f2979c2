"""How N^(X) depends on the DC decomposition: K scaled by λ (not in the paper)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tropica.decomposition.pairwise_check import pairwise_excess
from tropica.evaluation.function import ExtractedFunction
from tropica.plots import mean_curves, style
from tropica.studies.case import Case, equal_share
from tropica.studies.panels import FIDELITY, PERCENT, decomposition_panels
from tropica.studies.study import METHODS, Measurement, Results, Row, Study
from tropica.studies.tables import Table, aggregate, by_decomposition, curve, mean_sd, percent, select
from tropica.terms.linear_terms import LinearTerms

FACTORS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
MINIMAL = "minimal"


def measure(case: Case) -> Measurement:
    """A row for each decomposition and factor, and a row for the minimal decomposition with its factor of the calibrated K."""
    rows: list[Row] = []
    for method in METHODS:
        largest = _largest_f_minus(case, method)
        for factor in FACTORS:
            progress = case.progress(f"{method} decomposition × {factor:g}")
            quality = _quality(case, case.terms(method).scaled(factor), progress)
            rows.append({"decomposition": method, "factor": factor, **quality, "largest_f_minus": factor * largest})
    factor = max(case.decomposition(MINIMAL).factors.values(), default=0.0)
    quality = _quality(case, case.terms(MINIMAL), case.progress("minimal decomposition"))
    largest = _largest_f_minus(case, MINIMAL)
    rows.append({"decomposition": MINIMAL, "factor": factor, **quality, "largest_f_minus": largest})
    return Measurement(rows)


def _quality(case: Case, terms: LinearTerms, progress: Any) -> Row:
    """The violations of Theorem 3.3 by the terms, and the agreement and accuracy of N^(X)."""
    function = ExtractedFunction(terms)
    excess, violated = pairwise_excess(terms, case.points.inputs)
    labels = function.predict(case.test, progress=progress)
    return {
        "violating": float(violated.double().mean()),
        "largest_violation": float(excess.max()),
        "labels_kept": equal_share(function.predict(case.points, progress=progress), terms.labels.cpu()),
        "agreement": equal_share(labels, case.network_labels),
        "accuracy": equal_share(labels, case.true_labels),
    }


def _largest_f_minus(case: Case, method: str) -> float:
    """The largest F⁻ on the training points."""
    parts = case.points.inputs.split(512)
    return max(float(case.decomposition(method).f_minus(part.to(case.dtype)).max()) for part in parts)


def tables(results: Results) -> list[Table]:
    """A table for each network."""
    note = (
        "Violating points: training points at which a⁺ or a⁻ of another training point is larger; all pairs are checked. "
        "Minimal: λ is 1 % above the smallest factor of the calibrated K without violation on the run's training points."
    )
    cells = {
        "violating points": ("violating", percent),
        "training labels kept": ("labels_kept", percent),
        "agreement, test": ("agreement", percent),
        "accuracy, test": ("accuracy", percent),
        "largest F⁻": ("largest_f_minus", lambda values: f"{values.mean():.3g}"),
    }
    found = []
    for model in results.models:
        rows = select(results.rows, model=model)
        minimal = mean_sd(select(rows, decomposition=MINIMAL)["factor"], digits=3)
        rows = rows.assign(text=rows["factor"].map("{:g}".format).mask(rows["decomposition"] == MINIMAL, minimal))
        frame = aggregate(rows, {"decomposition": "decomposition", "λ": "text"}, cells)
        found.append(Table(f"{model}: in %, mean ± sd over runs", frame, note))
    return found


def smallest_factor(results: Results, model: str, method: str) -> float | None:
    """The smallest factor at which no training point violates Theorem 3.3 in any run; None where there is none.

    The factor depends on the training points alone, not on the test points.
    """
    largest = select(results.rows, model=model, decomposition=method).groupby("factor")["violating"].max()
    return min(largest.index[largest == 0], default=None)


def findings(results: Results) -> list[str]:
    """The smallest λ that keeps Theorem 3.3, and the gap between the families there."""
    lines: list[str] = []
    gaps: list[dict[str, Any]] = []
    for model in results.models:
        rows = select(results.rows, model=model)
        family = rows["family"].iloc[0]
        for method in METHODS:
            found = select(rows, decomposition=method).groupby("factor")["agreement"]
            text, mean = found.agg(percent), found.mean()
            factor = smallest_factor(results, model, method)
            least = "no λ of the grid is without violation"
            gaps.append({"case": f"{method} decomposition with λ = 1", "family": family, "agreement": mean[1.0]})
            if factor is not None:
                least = f"with the smallest λ without violation, {factor:g}, {text[factor]} %"
                name = f"{method} decomposition with the smallest λ without violation"
                gaps.append({"case": name, "family": family, "agreement": mean[factor]})
            lines.append(
                f"{model}, {method} decomposition: {text[1.0]} % agreement with λ = 1; {least}; {text[0.0]} % without F⁻."
            )
        minimal = select(rows, decomposition=MINIMAL)
        gaps.append({"case": "minimal decomposition", "family": family, "agreement": minimal["agreement"].mean()})
        factor = mean_sd(minimal["factor"], digits=3)
        lines.append(
            f"{model}, minimal decomposition: {percent(minimal['agreement'])} % agreement; λ = {factor} of the calibrated K."
        )
    means = 100 * pd.DataFrame(gaps).groupby(["case", "family"], sort=False)["agreement"].mean().unstack("family")
    if len(results.families) == 2:
        for case, gap in (means["FCN"] - means["CNN"]).dropna().items():
            lines.append(f"FCN minus CNN, {case}: {gap:+.1f} points of agreement.")
    return lines


def figures(results: Results) -> Mapping[str, Figure]:
    """Agreement and violating points over λ, a column for each decomposition; the minimal decomposition as stars."""
    figure, panels = decomposition_panels(4.6, rows=2, sharex=True)
    ticks = {float(i): f"{factor:g}" for i, factor in enumerate(FACTORS)}
    quantities = {"agreement": FIDELITY.replace(" (", "\n("), "violating": "violating Theorem 3.3\n(% of training points)"}
    rows = results.rows.assign(place=results.rows["factor"].map(axis_place))
    for column, method in zip(panels.T, METHODS, strict=True):
        found = select(rows, decomposition=method)
        for ax, (key, label) in zip(column, quantities.items(), strict=True):
            first = ax is panels[0][0]
            mean_curves(
                {model: curve(select(found, model=model), "place", key) for model in results.models},
                xlabel="λ, the factor of K" if ax is column[-1] else "",
                ylabel=label if column[0] is panels[0][0] else "",
                title=f"{method} decomposition" if ax is column[0] else "",
                ticks=ticks,
                legend=first,
                within=PERCENT,
                ax=ax,
            )
    _mark_minimal(panels[0][METHODS.index("calibrated")], results)
    return {"decomposition": figure}


def axis_place(factor: float) -> float:
    """The position of a factor on the figure's axis, on which `FACTORS` are evenly spaced.

    Between them the position is linear in the logarithm of the factor, and below the smallest positive one in the factor.

    >>> axis_place(0.0), axis_place(0.01), round(axis_place(0.0173), 2), axis_place(10)
    (0.0, 1.0, 1.5, 7.0)
    """
    if factor < FACTORS[1]:
        return factor / FACTORS[1]
    return float(np.interp(np.log10(factor), np.log10(FACTORS[1:]), range(1, len(FACTORS))))


def _mark_minimal(ax: Axes, results: Results) -> None:
    """Draw a star for each network's minimal decomposition, at its λ, in the color of the network's curve."""
    for model, line in zip(results.models, list(ax.lines), strict=True):
        mean = select(results.rows, model=model, decomposition=MINIMAL)[["factor", "agreement"]].mean()
        star = {"markersize": 9, "color": line.get_color(), "markeredgecolor": style.BLACK, "markeredgewidth": 0.5}
        ax.plot([axis_place(mean["factor"])], [100 * mean["agreement"]], "*", **star)  # type: ignore[arg-type]
    ax.plot([], [], marker="*", markersize=8, color=style.BLACK, linestyle="none", label="minimal decomposition")
    ax.legend(handles=[ax.lines[-1]])


def summary(results: Results) -> str:
    """The agreement with λ = 1, with the smallest λ without violation, and with λ = 0."""
    whole, none = (by_decomposition(select(results.rows, factor=f), "agreement", METHODS) for f in (1.0, 0.0))
    least = []
    for model in results.models:
        for method in METHODS:
            factor = smallest_factor(results, model, method)
            if factor is not None:
                rows = select(results.rows, model=model, decomposition=method, factor=factor)
                mean = 100 * rows["agreement"].mean()
                least.append(f"{model} {mean:.1f} ({method} decomposition, λ = {factor:g})")
    return (
        f"Agreement in % with λ = 1: {whole}; with the smallest λ of the grid without violation: "
        f"{', '.join(least) or 'there is none'}; without F⁻: {none}."
    )


STUDY = Study(
    name="decomposition",
    title="How N^(X) depends on the decomposition",
    question="N has many DC decompositions F⁺ − F⁻, and N^(X) depends on the decomposition. The multipliers K of the "
    "paper's and of the calibrated decomposition are scaled by λ from 0 (F⁻ = 0) to 10. Measured for each λ: the share of "
    "training points at which Theorem 3.3 fails (over all pairs), the share that keep their label, and the agreement of N^(X) "
    "with N on test points. Is the paper's gap between CNN and FCN a property of the networks, or of the decomposition?",
    paper="The paper has one decomposition, its own (paper, λ = 1), and reads the gap between fully connected and "
    "convolutional networks as a property of the networks: 97.7 against 95.7 % on MNIST, 52.5 against 30.8 % on CIFAR-10.",
    measure=measure,
    tables=tables,
    findings=findings,
    figures=figures,
    decompositions=(*METHODS, MINIMAL),
    summary=summary,
)
