"""``python -m benchmarks.matched STUDY OUT``: Table 2 where the networks of two architectures are equally accurate.

STUDY is a finished ``tropica study table2`` of two architectures, with its networks. Of the epochs of each architecture those
two are taken whose test accuracies, means over seeds, are closest (hypothesis H3); their terms are extracted and measured as in
the study. OUT is laid out as a study's folder, for ``python -m benchmarks.results add NAME OUT STUDY/networks``.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch

from tropica.runtime.files import write_json
from tropica.studies.case import Case, equal_share
from tropica.studies.datasets.load import load_data
from tropica.studies.experiments import table2
from tropica.studies.prepare import prepare_study
from tropica.studies.training.runs import train_run
from tropica.studies.training.settings import TrainSettings


def trained_cases(study: Path, settings: dict[str, Any], out: Path) -> dict[str, list[Case]]:
    """The networks of a study by architecture, one for each seed."""
    name, dtype = settings["data"], getattr(torch, settings["dtype"])
    train = load_data(name, limit=settings["training_points"])
    test = load_data(name, split="test", limit=settings["test_points"])
    training = TrainSettings(**settings["training"])
    points = prepare_study("table2", train, test, out, settings=training, terms=settings["terms"]).points
    cases: dict[str, list[Case]] = {model: [] for model in settings["models"]}
    for model, found in cases.items():
        for seed in settings["seeds"]:
            run = train_run(model, train, study / "networks" / model / f"seed-{seed}", training, seed=seed)
            found.append(Case(run, points, test, dtype))
    return cases


def accuracies(cases: list[Case], epochs: int) -> dict[int, float]:
    """The test accuracy after each epoch, mean over seeds."""
    found = {}
    for epoch in range(1, epochs + 1):
        shares = [equal_share(case.network_labels, case.true_labels) for case in (c.after_epoch(epoch) for c in cases)]
        found[epoch] = sum(share or 0.0 for share in shares) / len(shares)
    return found


def measure(study: Path, out: Path) -> None:
    """Choose the epochs and write the measurements."""
    settings = json.loads((study / "numbers.json").read_text(encoding="utf8"))["settings"]
    cases = trained_cases(study, settings, out)
    one, other = cases
    first, second = (accuracies(cases[model], settings["training"]["epochs"]) for model in (one, other))
    for model, found in ((one, first), (other, second)):
        print(f"{model}: test accuracy in % by epoch: {', '.join(f'{100 * share:.1f}' for share in found.values())}")
    pair = min(itertools.product(first, second), key=lambda epochs: abs(first[epochs[0]] - second[epochs[1]]))
    for model, epoch in zip((one, other), pair, strict=True):
        for case in cases[model]:
            start, seed = time.perf_counter(), case.run.seed
            about = {"settings": settings, "model": f"{model}, epoch {epoch}", "network": model, "epoch": epoch, "seed": seed}
            file = out / "runs" / f"{model}-{seed}.json"
            if file.exists() and json.loads(file.read_text(encoding="utf8")).items() >= about.items():
                continue  # measured by an interrupted call
            found = table2.measure(case.after_epoch(epoch))
            took = {"seconds": time.perf_counter() - start, "training_seconds": 0.0}
            write_json(file, {**about, **took, "rows": found.rows, "figure_data": found.figure_data})
            fidelity = ", ".join(f"{row['decomposition']} {100 * row['network_extracted']:.1f}" for row in found.rows)
            print(f"{model}, seed {seed}, epoch {epoch}: fidelity in %: {fidelity}", flush=True)
    write_json(out / "numbers.json", {"settings": settings, "command": "python -m benchmarks.matched STUDY OUT"})


def main(arguments: list[str]) -> None:
    """Measure the study of the arguments."""
    if len(arguments) != 2:
        raise SystemExit("python -m benchmarks.matched STUDY OUT")
    torch.set_num_threads(1)
    measure(*map(Path, arguments))


if __name__ == "__main__":
    main(sys.argv[1:])
