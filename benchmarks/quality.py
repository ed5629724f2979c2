"""Quality of N^(X) on real data: Table 2 of the paper for both splits."""

from __future__ import annotations

import time

from rich.table import Table

import tropica as tp
from benchmarks.networks import trained


def main() -> None:
    """Print the table."""
    from benchmarks.report import show

    table = Table(title="N^(X) of all training points on the test points; the paper: FCN 97.7 / 97.6, CNN 95.7 / 95.8")
    for heading in (
        "network",
        "split",
        "terms",
        "N vs N^(X)",
        "N vs true",
        "N^(X) vs true",
        "largest K",
        "passes",
        "certificate",
        "s",
    ):
        table.add_column(heading)
    for name, epochs in (("fcn4", 4), ("conv", 2)):
        job = trained(name, epochs)
        for method in ("calibrated", "paper"):
            start = time.perf_counter()
            decomposition = tp.decompose(job.model, job.train, method=method, progress=True)
            terms = tp.extract(decomposition.net, job.train, decomposition, progress=True)
            found = tp.agreement(decomposition.net, tp.ExtractedFunction(terms), job.test, progress=True)
            table.add_row(
                job.title,
                method,
                f"{len(terms):,}",
                f"{found.network_extracted:.2%}",
                f"{found.network_true:.2%}",
                f"{found.extracted_true:.2%}",
                f"{decomposition.summary().largest:.3g}",
                f"{decomposition.passes:.2f}",
                "holds" if terms.certificate.holds else "fails",
                f"{time.perf_counter() - start:.0f}",
            )
    show(table, "quality")


if __name__ == "__main__":
    main()
