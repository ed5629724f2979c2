"""Table 2: the agreement of network, extracted function and true labels on test points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from tropica.compare.agreement import compare_labels
from tropica.plots import grouped_means, style
from tropica.studies.baselines import SPACES, neighbor_indices, pack, stacked, unpack
from tropica.studies.case import Case, equal_share
from tropica.studies.intervals import paired_interval
from tropica.studies.panels import PERCENT, panel_grid
from tropica.studies.study import METHODS, Measurement, Results, Row, Study
from tropica.studies.tables import Cells, Table, aggregate, by_decomposition, percent, select, spread

DECOMPOSITIONS = (*METHODS, "minimal")
SHARES = {"network_extracted": "N vs N^(X)", "network_true": "N vs true", "extracted_true": "N^(X) vs true"}
INTERVAL = "95 % interval, paired over seeds and test points"
TITLES = {
    "network_extracted": "fidelity: N^(X) = N",
    "network_true": "test accuracy of N",
    "extracted_true": "test accuracy of N^(X)",
}
PAPER = {
    "FCN, MNIST": ("97.7 ± 0.2", "98.1 ± 0.2", "97.6 ± 0.2"),
    "CNN, MNIST": ("95.7 ± 0.3", "99.2 ± 0.1", "95.8 ± 0.2"),
    "FCN, CIFAR-10": ("52.5 ± 3.5", "49.2 ± 0.7", "38.2 ± 1.5"),
    "CNN, CIFAR-10": ("30.8 ± 1.3", "71.1 ± 0.5", "30.3 ± 1.4"),
}
"""Table 2 of Trimmel, Petzka and Sminchisescu, "TropEx", ICLR 2021: mean ± standard deviation of five networks, in %."""


def measure(case: Case) -> Measurement:
    """A row for each decomposition; for intervals, which answers of each test point are equal."""
    rows, answers = measure_rows(case)
    labels = case.terms(METHODS[0]).labels.cpu()
    for space, index in neighbor_indices(case).items():
        neighbor = None if index is None else labels[index]
        for row in rows:
            row[f"{space}_fidelity"] = None if neighbor is None else equal_share(neighbor, case.network_labels)
            row[f"{space}_accuracy"] = None if neighbor is None else equal_share(neighbor, case.true_labels)
            active = answers[row["decomposition"]][1]
            row[f"active_is_nearest_{space}"] = None if index is None else equal_share(index, active)
        if neighbor is not None:
            answers[space] = (neighbor, neighbor)
    equal = {name: pack(found == case.network_labels) for name, (found, _) in answers.items()}
    return Measurement(rows, {"fidelity": equal, "points": len(case.true_labels)})


def measure_rows(case: Case) -> tuple[list[Row], dict[str, tuple[Tensor, Tensor]]]:
    """A row for each decomposition; and by decomposition the labels of N^(X) and the numbers of its active terms."""
    rows, answers = [], {}
    for method in DECOMPOSITIONS:
        terms, decomposition = case.terms(method), case.decomposition(method)
        progress = case.progress(f"agreement, {method} decomposition")
        answers[method] = case.function(method).labels_and_terms(case.test, progress=progress)
        shares = compare_labels(case.network_labels, answers[method][0], case.true_labels)
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
    return rows, answers


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
            f"{data}: beside nearest neighbors, mean ± sd over runs",
            aggregate(rows, {"in %": "model", "decomposition": "decomposition"}, neighbor_cells()),
            "Fidelity: the share of test points with N's label. The baselines give a test point the label that N gives the "
            "nearest training point: nearest in pixels, or in features, the values of the last nonlinearity. Same: the term "
            "that decides is that of this training point.",
        ),
        Table(
            "The decompositions, means over runs",
            aggregate(rows, {"network": "model", "decomposition": "decomposition"}, growth),
            "K: the multipliers. F⁻ and F⁻ / |N|: on the training points; the difference a⁺ − a⁻ loses about log10 of the "
            "ratio in decimal digits. Passes: over the training points to find K; 0 for the paper's decomposition, which "
            "depends on the weights alone.",
        ),
    ]


def neighbor_cells() -> Cells:
    """The columns of the table of baselines."""
    cells: dict[str, Any] = {"N^(X): fidelity": ("network_extracted", percent), "accuracy": ("extracted_true", percent)}
    for space, name in {"pixel": "pixels", "feature": "features"}.items():  # short, so that all columns fit a page
        cells[f"{name}: fidelity"] = (f"{space}_fidelity", percent)
        cells[f"{name}: accuracy"] = (f"{space}_accuracy", percent)
        cells[f"{name}: same"] = (f"active_is_nearest_{space}", percent)
    return cells


def fidelity(results: Results, family: str, answer: str) -> np.ndarray | None:
    """Whether an answer is N's label, (seeds, points), averaged over the networks of a family; None where it is unknown."""
    runs: dict[int, list[np.ndarray]] = {}
    for (model, seed), data in results.figure_data.items():
        if results.rows.loc[results.rows["model"] == model, "family"].iloc[0] == family:
            if answer not in data["fidelity"]:
                return None
            runs.setdefault(seed, []).append(unpack(data["fidelity"][answer], data["points"]))
    return stacked(runs)


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
            one, other = (fidelity(results, family, method) for family in ("FCN", "CNN"))
            assert one is not None
            assert other is not None
            gap = paired_interval(one, other).text(sign=True)
            lines.append(f"FCN minus CNN, {method} decomposition: {gap} points of fidelity ({INTERVAL}).")
    for family in results.families:
        for space, name in SPACES.items():
            one, other = fidelity(results, family, METHODS[1]), fidelity(results, family, space)
            if one is not None and other is not None:
                more = paired_interval(one, other).text(sign=True)
                what = f"N^(X), calibrated, minus the nearest neighbor in {name}"
                lines.append(f"{family}: {what}: {more} points of fidelity ({INTERVAL}).")
    certified = int(rows["certificate_holds"].sum())
    lines.append(f"Theorem 3.3 is certified on the training points in {certified} of {len(rows)} cases.")
    return lines


def figures(results: Results, name: str = "table2") -> Mapping[str, Figure]:
    """A panel for each pair of functions, a mark for each network and decomposition."""
    figure, panels = panel_grid(len(SHARES), 2.5, sharey=True)
    for ax, (key, title) in zip(panels, TITLES.items(), strict=True):
        of_network = key == "network_true"
        series = {
            "network" if of_network else f"{method} decomposition": spread(
                select(results.rows, decomposition=method), "model", key, groups=results.models
            )
            for method in (DECOMPOSITIONS[:1] if of_network else DECOMPOSITIONS)
        }
        first = ax is panels[0]
        ylabel = "% of test points" if first else ""
        look = {"colors": {"network": style.BLACK}, "legend": False, "within": PERCENT}
        grouped_means(results.models, series, ylabel=ylabel, title=title, ax=ax, **look)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(DECOMPOSITIONS))
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
