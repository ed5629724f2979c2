"""The verdict of a report on each experiment: what the paper found, what this run found, and whether they agree."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from tropica.studies.study import Results, Study
from tropica.studies.tables import select

Status = Literal["agrees", "differs", "can't tell", "no number"]
DIFFERENCE = 0.5
"""A bound of the variance of one point's difference of two answers, right minus right: half of the points differ at most."""
PAPER_DATA = ("mnist", "cifar10")
"""The data sets of the paper: numbers of others can't be compared with its, only their order."""
MOVED = 0.25
"""A gap that changes by more than this share with the decomposition is not one of the networks alone."""
PAPER = {"decomposition": "paper"}


@dataclass(frozen=True)
class ExperimentVerdict:
    """The first line of an experiment in a report.

    Attributes:
        paper: the paper's claim in a few words.
        here: what this run found, in a few words with numbers.
        status: "agrees", "differs", "can't tell", or "no number" where the paper has none to compare with.
        why: the reason of "can't tell", and the networks that say nothing; "" otherwise.
    """

    paper: str
    here: str
    status: Status
    why: str = ""


@dataclass(frozen=True)
class Finding:
    """What a run found: the text, whether the paper's claim holds (None: can't tell), and why it can't be told."""

    here: str
    holds: bool | None
    why: str = ""


def verdict(study: Study, results: Results) -> ExperimentVerdict:
    """The verdict on a study; networks that are too weak, or one family alone, can't tell."""
    weak = "; ".join(results.weak)
    if study.name not in CLAIMS:
        return ExperimentVerdict("–", study.summarize(results), "no number", weak)
    claim, find = CLAIMS[study.name]
    found = find(results)
    if weak:
        return ExperimentVerdict(claim, found.here, "can't tell", weak)
    if found.holds is None:
        return ExperimentVerdict(claim, found.here, "can't tell", found.why)
    return ExperimentVerdict(claim, found.here, "agrees" if found.holds else "differs")


def compare_families(
    rows: pd.DataFrame, column: str, points: int, *, what: str, scale: float = 100.0, variance: float | None = None
) -> Finding:
    """Whether FCN has the larger mean than CNN, by more than two standard errors.

    The standard error is the larger one of that over runs and that over test points, where each point contributes
    ``variance``; by default that of a share, p (1 − p). Without test points and with a single run there is none.
    """
    families = {name: part[column].astype(float).dropna() for name, part in rows.groupby("family")}
    texts = [f"{name} {scale * found.mean():.1f}" for name, found in sorted(families.items(), reverse=True)]
    here = f"{what}: {', '.join(texts)}"
    if set(families) != {"FCN", "CNN"}:
        return Finding(here, None, "one family of networks alone")
    means = {name: float(found.mean()) for name, found in families.items()}
    over_runs = sum(float(found.var()) / len(found) if len(found) > 1 else 0.0 for found in families.values())
    if not points and min(map(len, families.values())) < 2:
        return Finding(here, None, "one run has no spread")
    of_point = [m * (1 - m) if variance is None else variance for m in means.values()]
    over_points = sum(of_point) / points if points else 0.0
    error, gap = math.sqrt(max(over_runs, over_points)), means["FCN"] - means["CNN"]
    if abs(gap) <= 2 * error:
        return Finding(here, None, f"the difference is within two standard errors, ± {2 * scale * error:.1f}")
    return Finding(here, gap > 0)


def _agreement(results: Results) -> Finding:
    rows = select(results.rows, **PAPER)
    return compare_families(rows, "network_extracted", _points(results), what="fidelity in %")


def _regions(results: Results) -> Finding:
    rows = results.rows[results.rows["epoch"] > 0] if (results.rows["epoch"] > 0).any() else results.rows
    shares = rows["both_patterns"] / rows["both_points"]
    every = bool((shares == 1).all())
    low, high = (f"{100 * share:.1f}" for share in (shares.min(), shares.max()))
    return Finding("every point has one of its own" if every else f"regions for {low} to {high} % of the points", every)


def _angles(results: Results) -> Finding:
    rows = select(results.rows, family="FCN", **PAPER)
    if rows.empty:
        return Finding("no fully connected network", None, "one family of networks alone")
    right, wrong = (rows[f"angle_{answer}_50"].astype(float).mean() for answer in ("right", "wrong"))
    if math.isnan(right) or math.isnan(wrong):
        return Finding("all answers of FCN are right, or all wrong", None, "no wrong answers to compare with")
    return Finding(f"FCN, median angle: {right:.0f}° right, {wrong:.0f}° wrong", bool(right < wrong))


def _layers(results: Results) -> Finding:
    rows = select(results.rows, **PAPER)
    keys = ["family", "model", "seed"]
    last = rows.loc[rows.groupby(keys)["merged"].idxmax()].set_index(keys)["accuracy"]
    first = select(rows, merged=0).set_index(keys)["accuracy"]
    kept = (1 + last - first).rename("kept").reset_index()
    found = compare_families(kept, "kept", _points(results), what="", variance=DIFFERENCE)
    lost = (100 * (last - first)).groupby("family").mean().sort_index(ascending=False)
    here = "accuracy changes by " + ", ".join(f"{name} {value:+.1f} points" for name, value in lost.items())
    return Finding(here, found.holds, found.why)


def _epochs(results: Results) -> Finding:
    rows = select(results.rows, **PAPER)
    rows = rows[rows["epoch"] == rows["epoch"].max()]
    rows = rows.assign(kept=1 + rows["extracted_true"] - rows["network_true"])
    found = compare_families(rows, "kept", _points(results), what="", variance=DIFFERENCE)
    lost = 100 * (rows["kept"] - 1)
    here = ", ".join(f"{name} {part.mean():+.1f}" for name, part in sorted(lost.groupby(rows["family"]), reverse=True))
    return Finding(f"points of accuracy at the end: {here}", found.holds, found.why)


def _correlation(results: Results) -> Finding:
    rows = results.rows[results.rows["epoch"] == results.rows["epoch"].max()]
    found = compare_families(rows, "correlation", 0, what="correlation", scale=1.0)
    means = rows.groupby("family")["correlation"].mean().sort_index(ascending=False)
    return Finding("correlation: " + ", ".join(f"{name} {m:.2f}" for name, m in means.items()), found.holds, found.why)


def _patterns(results: Results) -> Finding:
    pairing = results.rows["pairing"].iloc[0] if "paper" not in set(results.rows["pairing"]) else "paper"
    means = select(results.rows, pairing=pairing).groupby("model")["agreement"].mean() * 100
    here = ", ".join(f"{model} {value:.0f} %" for model, value in means.items())
    data = str(results.settings.get("data", ""))
    if not data.startswith(PAPER_DATA):
        return Finding(here, None, f"the paper's 80 % are of {' and '.join(PAPER_DATA)}, not of {data}")
    return Finding(here, bool(means.between(70, 90).all()))


def _estimate(results: Results) -> Finding:
    totals = select(results.rows, quantity="cells, by integral geometry").groupby("model")["log10"].mean()
    here = ", ".join(f"{model} 10^{value:.0f}" for model, value in totals.items())
    if not {"narrow", "wide"} <= set(totals.index):
        return Finding(here, None, "the claim is on narrow and wide, which were not measured")
    return Finding(here, bool(totals["narrow"] > totals["wide"]))


def _decomposition(results: Results) -> Finding:
    rows = results.rows
    rows = pd.concat([select(rows, decomposition="paper", factor=1.0), select(rows, decomposition="minimal")])
    gaps = rows.groupby(["decomposition", "family"])["agreement"].mean().unstack()
    if set(gaps.columns) != {"FCN", "CNN"}:
        return Finding("one family of networks", None, "one family of networks alone")
    gap = 100 * (gaps["FCN"] - gaps["CNN"])
    here = f"gap in points: paper {gap['paper']:+.1f}, minimal {gap['minimal']:+.1f}"
    moved = abs(gap["minimal"] - gap["paper"])
    if moved > MOVED * abs(gap["paper"]):
        return Finding(here, None, f"the gap moves by {moved:.1f} points with the decomposition")
    return Finding(here, bool(gap.min() > 0))


def _points(results: Results) -> int:
    return int(results.settings.get("test_points", 0))


CLAIMS: Mapping[str, tuple[str, Callable[[Results], Finding]]] = {
    "table2": ("FCN keep more labels than CNN: 97.7 > 95.7 (MNIST), 52.5 > 30.8 (CIFAR)", _agreement),
    "leaky": ("as with ReLU: FCN keep more labels than CNN", _agreement),
    "regions": ("every point lies in a region of its own", _regions),
    "figure2": ("FCN: smaller angles where the answer is right", _angles),
    "figure3": ("extraction costs CNN more accuracy: Narrow −36.6, Wide −8.1", _layers),
    "figure4": ("at the end Narrow loses 36.6 points, Wide 8.1", _epochs),
    "figure5": ("coefficients of two FCN correlate more than of two CNN", _correlation),
    "patterns": ("about 80 % of the activations agree", _patterns),
    "estimate": ("Narrow has more regions than Wide", _estimate),
    "decomposition": ("the gap of FCN and CNN is one of the networks", _decomposition),
}
"""The paper's claim of each experiment that has one, and what decides it."""
