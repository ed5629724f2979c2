"""Table 2: how often network, extracted function and truth agree on test points."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from tropica.compare.agreement import agreement
from tropica.plots import grouped_means, style
from tropica.studies.case import Case
from tropica.studies.demo.rows import PAPER
from tropica.studies.study import METHODS, Measured, Results, Study, Table, bands, by_decomposition, families, spread

SPLITS = (*METHODS, "minimal")
SHARES = {"network_extracted": "N vs N^(X)", "network_true": "N vs true", "extracted_true": "N^(X) vs true"}


def measure(case: Case) -> Measured:
    """A row a split."""
    rows = []
    for method in SPLITS:
        terms = case.terms(method)
        found = agreement(case.net, case.function(method), case.test, progress=case.step(f"agreement, {method} split"))
        certificate = terms.certificate
        rows.append(
            {
                "decomposition": method,
                **{key: getattr(found, key) for key in SHARES},
                "test_points": found.points,
                "terms": len(terms),
                "certificate_holds": certificate.holds,
                "labels_kept": certificate.labels_kept,
                "largest_violation": certificate.largest_violation,
                "largest_k": case.decomposition(method).summary().largest,
            }
        )
    return Measured(rows)


def tables(results: Results) -> list[Table]:
    """By family and by model, and the paper's."""
    headings = ["in %", "decomposition", *SHARES.values(), "certificates"]

    def row(name: str, method: str, **wanted: str) -> list[str]:
        rows = results.where(decomposition=method, **wanted)
        holds = f"{sum(r['certificate_holds'] for r in rows)} of {len(rows)} hold"
        return [name, method, *(spread(rows, key, 100).text() for key in SHARES), holds]

    by_family = [row(name, method, family=name) for name in families(results) for method in SPLITS]
    by_model = [row(name, method, model=name) for name in results.values("model") for method in SPLITS]
    data = results.settings["data"]
    return [
        Table(f"{data}: mean ± sd over runs and architectures", headings, by_family, 4),
        Table(f"{data}: by network, mean ± sd over runs", headings, by_model, 4),
        Table(
            "The paper's Table 2",
            ["in %", *SHARES.values()],
            PAPER,
            3,
            "Five networks of each architecture; 60,000 (MNIST) and 50,000 (CIFAR-10) terms; its own split.",
        ),
    ]


def findings(results: Results) -> list[str]:
    """The agreement of both splits in each family, and the gap between the families."""
    lines = []
    for name in families(results):
        paper, ours, least = (spread(results.where(family=name, decomposition=m), "network_extracted", 100) for m in SPLITS)
        lines.append(
            f"{name}: N^(X) agrees with N on {paper.text()} % of the test points with the paper's decomposition, on "
            f"{ours.text()} % with the calibrated one and on {least.text()} % with the minimal one."
        )
    if len(families(results)) == 2:
        for method in SPLITS:
            fcn, cnn = (
                spread(results.where(family=name, decomposition=method), "network_extracted", 100).mean
                for name in families(results)
            )
            lines.append(f"FCN minus CNN, {method} split: {fcn - cnn:+.1f} points of agreement.")
    failed = [row for row in results.rows if not row["certificate_holds"]]
    lines.append(
        f"Theorem 3.3 is certified on the training points in {len(results.rows) - len(failed)} of {len(results.rows)} cases."
    )
    return lines


def figures(results: Results) -> Mapping[str, Figure]:
    """A panel a measure, a mark a network and split."""
    models = results.values("model")
    figure = style.figure(height=2.5)
    panels = figure.subplots(1, len(SHARES), sharey=True)
    for ax, (key, title) in zip(panels, SHARES.items(), strict=True):
        series = {}
        for method in SPLITS if key != "network_true" else SPLITS[:1]:
            found = [spread(results.where(model=model, decomposition=method), key, 100) for model in models]
            name = f"{method} split" if key != "network_true" else "network"
            series[name] = bands(found)
        first = ax is panels[0]
        grouped_means(
            models, series, ylabel="equal labels (% of test points)" if first else "", title=title, legend=first, ax=ax
        )
    return {"table2": figure}


def summary(results: Results) -> str:
    """Agreement."""
    return f"N^(X) agrees with N on so many % of the test points: {by_decomposition(results, 'network_extracted')}."


STUDY = Study(
    name="table2",
    title="Table 2: network, extracted function and truth",
    question="N^(X) is built from the terms of the training points alone. How often does it give the label of the network N, "
    "and how often the true one, on test points that neither has seen? All three DC decompositions are used on the same networks.",
    paper="On MNIST fully connected networks (FCN) keep almost all of their accuracy, 97.7 % of the test points keep the "
    "network's label, and convolutional ones (CNN) 95.7 %. On CIFAR-10 the agreement falls to 52.5 % (FCN) and 30.8 % (CNN). "
    "The paper concludes that FCNs keep more of what they know in the coefficients of their linear regions.",
    measure=measure,
    tables=tables,
    findings=findings,
    figures=figures,
    decompositions=SPLITS,
    summary=summary,
)
