"""Table 2: the agreement of network, extracted function and true labels on test points."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import torch
from matplotlib.figure import Figure

from tropica.compare.agreement import agreement
from tropica.plots import grouped_means
from tropica.studies.case import Case
from tropica.studies.panels import panel_grid
from tropica.studies.study import METHODS, Measurement, Results, Row, Study
from tropica.studies.tables import Cells, Table, aggregate, by_decomposition, percent, select, spread

DECOMPOSITIONS = (*METHODS, "minimal")
SHARES = {"network_extracted": "N vs N^(X)", "network_true": "N vs true", "extracted_true": "N^(X) vs true"}
PAPER = {
    "FCN, MNIST": ("97.7 ± 0.2", "98.1 ± 0.2", "97.6 ± 0.2"),
    "CNN, MNIST": ("95.7 ± 0.3", "99.2 ± 0.1", "95.8 ± 0.2"),
    "FCN, CIFAR-10": ("52.5 ± 3.5", "49.2 ± 0.7", "38.2 ± 1.5"),
    "CNN, CIFAR-10": ("30.8 ± 1.3", "71.1 ± 0.5", "30.3 ± 1.4"),
}
"""Table 2 of Trimmel, Petzka and Sminchisescu, "TropEx", ICLR 2021: mean ± standard deviation of five networks, in %."""


def measure(case: Case) -> Measurement:
    """A row for each decomposition."""
    rows = []
    for method in DECOMPOSITIONS:
        terms, decomposition = case.terms(method), case.decomposition(method)
        progress = case.progress(f"agreement, {method} decomposition")
        shares = agreement(case.net, case.function(method), case.test, progress=progress)
        rows.append(
            {
                "decomposition": method,
                **{key: getattr(shares, key) for key in SHARES},
                "test_points": shares.points,
                "terms": len(terms),
                "certificate_holds": terms.certificate.holds,
                "labels_kept": terms.certificate.labels_kept,
                "largest_violation": terms.certificate.largest_violation,
                "largest_multiplier": decomposition.summary().largest,
                "passes": decomposition.passes,
                **sizes(case, method),
            }
        )
    return Measurement(rows)


def sizes(case: Case, method: str) -> Row:
    """The largest F⁻(x) and the largest F⁻(x) / max_i |N_i(x)| over the training points.

    Computing N_i as the difference F⁺_i − F⁻ loses about log10 of this ratio in decimal digits.
    """
    largest, ratio = 0.0, 0.0
    for part in case.points.inputs.to(case.dtype).split(512):
        f_minus = case.decomposition(method).f_minus(part)
        with torch.no_grad():
            outputs = case.net(part).double().abs().amax(1).clamp(min=torch.finfo(torch.float64).tiny)
        largest, ratio = max(largest, float(f_minus.max())), max(ratio, float((f_minus / outputs).max()))
    return {"largest_f_minus": largest, "largest_f_minus_ratio": ratio}


def _certificates(holds: pd.Series) -> str:
    return f"{int(holds.sum())} of {len(holds)} hold"


def _significant(values: pd.Series) -> str:
    return f"{values.mean():.3g}"


def tables(results: Results) -> list[Table]:
    """Agreement by family and by network, the paper's table, and the sizes of the decompositions."""
    rows, data = results.rows, results.settings["data"]
    cells: Cells = {heading: (key, percent) for key, heading in SHARES.items()}
    cells = {**cells, "certificates": ("certificate_holds", _certificates)}
    families = aggregate(rows, {"in %": "family", "decomposition": "decomposition"}, cells)
    families = families.sort_index(level=0, ascending=False, sort_remaining=False, kind="stable")
    models = aggregate(rows, {"in %": "model", "decomposition": "decomposition"}, cells)
    paper = pd.DataFrame.from_dict(PAPER, orient="index", columns=list(SHARES.values())).rename_axis("in %")
    headings = {
        "largest K": "largest_multiplier",
        "largest F⁻": "largest_f_minus",
        "largest F⁻ / |N|": "largest_f_minus_ratio",
        "passes": "passes",
    }
    growth = {heading: (key, _significant) for heading, key in headings.items()}
    return [
        Table(f"{data}: mean ± sd over runs and architectures", families),
        Table(f"{data}: by network, mean ± sd over runs", models),
        Table(
            "The paper's Table 2",
            paper,
            "Five networks of each architecture; 60,000 (MNIST) and 50,000 (CIFAR-10) terms; the paper's decomposition.",
        ),
        Table(
            "The decompositions, means over runs",
            aggregate(rows, {"network": "model", "decomposition": "decomposition"}, growth),
            "K: the multipliers. F⁻ and F⁻ / |N|: on the training points; the difference a⁺ − a⁻ loses about log10 of the "
            "ratio in decimal digits. Passes: over the training points to find K; 0 for the paper's decomposition, which "
            "depends on the weights alone.",
        ),
    ]


def findings(results: Results) -> list[str]:
    """The agreement with each decomposition, and the difference between the families."""
    rows, lines = results.rows, []
    for family in results.families:
        found = (percent(select(rows, family=family, decomposition=m)["network_extracted"]) for m in DECOMPOSITIONS)
        paper, calibrated, minimal = found
        lines.append(
            f"{family}: N^(X) agrees with N on {paper} % of the test points with the paper's decomposition, on {calibrated} % "
            f"with the calibrated one and on {minimal} % with the minimal one."
        )
    if len(results.families) == 2:
        for method in DECOMPOSITIONS:
            means = select(rows, decomposition=method).groupby("family")["network_extracted"].mean()
            gap = 100 * (means["FCN"] - means["CNN"])
            lines.append(f"FCN minus CNN, {method} decomposition: {gap:+.1f} points of agreement.")
    certified = int(rows["certificate_holds"].sum())
    lines.append(f"Theorem 3.3 is certified on the training points in {certified} of {len(rows)} cases.")
    return lines


def figures(results: Results, name: str = "table2") -> Mapping[str, Figure]:
    """A panel for each pair of functions, a mark for each network and decomposition."""
    figure, panels = panel_grid(len(SHARES), 2.5, sharey=True)
    for ax, (key, title) in zip(panels, SHARES.items(), strict=True):
        of_network = key == "network_true"
        series = {
            "network" if of_network else f"{method} decomposition": spread(
                select(results.rows, decomposition=method), "model", key, groups=results.models
            )
            for method in (DECOMPOSITIONS[:1] if of_network else DECOMPOSITIONS)
        }
        first = ax is panels[0]
        ylabel = "equal labels (% of test points)" if first else ""
        grouped_means(results.models, series, ylabel=ylabel, title=title, legend=first, ax=ax)
    return {name: figure}


def summary(results: Results) -> str:
    """The agreement of N^(X) with N."""
    return f"N^(X) agrees with N on test points (in %): {by_decomposition(results.rows, 'network_extracted', METHODS)}."


STUDY = Study(
    name="table2",
    title="Table 2: network, extracted function and truth",
    question="N^(X) is built from the terms of the training points alone. How often does it give the label of the network N, "
    "and how often the true one, on test points that neither has seen? The three DC decompositions are compared on the same "
    "networks.",
    paper="On MNIST fully connected networks (FCN) keep almost all of their accuracy, 97.7 % of the test points keep the "
    "network's label, and convolutional ones (CNN) 95.7 %. On CIFAR-10 the agreement falls to 52.5 % (FCN) and 30.8 % (CNN). "
    "The paper concludes that FCNs keep more of what they know in the coefficients of their linear regions.",
    measure=measure,
    tables=tables,
    findings=findings,
    figures=figures,
    decompositions=DECOMPOSITIONS,
    summary=summary,
)
