"""What the minimal decomposition does for N^(X): agreement on test points, λ and processor time beside the other splits'.

python -m benchmarks.minimal                                      the networks of benchmarks.quality
python -m benchmarks.minimal DATA TERMS MODEL WEIGHTS [WEIGHTS …] trained networks of ``tropica train`` (TERMS 0: all)
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import safetensors.torch
from rich.table import Table

import tropica as tp
from benchmarks.networks import Trained, trained
from tropica.studies.datasets.load import load_data
from tropica.studies.networks import build

SPLITS = (
    ("paper", "paper", "network"),
    ("calibrated", "calibrated", "network"),
    ("minimal", "minimal", "network"),
    ("minimal, a λ a nonlinearity", "minimal", "nonlinearity"),
)


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    from benchmarks.report import show

    table = Table(title="N^(X) on the test points by split")
    headings = ("network", "split", "terms", "N vs N^(X)", "N^(X) vs true", "N vs true", "λ", "certificate", "CPU s", "extract")
    for heading in headings:
        table.add_column(heading)
    for job in _given(arguments) if arguments else [trained("fcn4", 4), trained("conv", 2)]:
        for name, method, per in SPLITS:
            start = time.process_time()
            decomposition = tp.decompose(job.model, job.train, method=method, per=per, progress=True)
            made = time.process_time()
            terms = tp.extract(decomposition.net, job.train, decomposition, on_failure="warn", progress=True)
            end = time.process_time()
            found = tp.agreement(decomposition.net, tp.ExtractedFunction(terms), job.test, progress=True)
            table.add_row(
                job.title,
                name,
                f"{len(terms):,}",
                f"{found.network_extracted:.2%}",
                f"{found.extracted_true:.2%}",
                f"{found.network_true:.2%}",
                " ".join(dict.fromkeys(f"{factor:.3g}" for factor in decomposition.factors.values())),
                "holds" if terms.certificate.holds else "fails",
                f"{made - start:.1f}",
                f"{end - made:.1f}",
            )
    show(table, "minimal")


def _given(arguments: list[str]) -> list[Trained]:
    """The trained networks that the command line names."""
    data, terms, name, *files = arguments
    points, test = load_data(data, limit=int(terms) or None), load_data(data, split="test")
    jobs = []
    for file in files:
        model = build(name, points.input_shape, 10)
        model.load_state_dict(safetensors.torch.load_file(file))
        jobs.append(Trained(f"{name} {Path(file).parent.name}", model.eval().requires_grad_(False), points, test))
    return jobs


if __name__ == "__main__":
    main(sys.argv[1:])
