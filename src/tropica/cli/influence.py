"""``tropica influence``."""

from __future__ import annotations

from tropica.cli import options
from tropica.cli.command import CommandResult, command
from tropica.cli.output import print_facts, print_table
from tropica.cli.reading import read_points

MOST = 20


@command(
    "tropica train fcn-small --data digits --runs 1 --epochs 3",
    "tropica extract networks/fcn-small/seed-0 --data digits --out terms",
    "tropica influence terms --data digits --csv influence.csv",
    csv="Write how many points each deciding training point decides.",
)
def influence(
    terms: options.Terms,
    data: options.Data,
    subset: options.InSubset = options.Subset.test,
    limit: options.Limit = None,
    label: options.Label = None,
    memory: options.Memory = None,
    device: options.Device = options.DeviceName.cpu,
) -> CommandResult:
    """Count how often each training point decides the label of N^(X), rightly and wrongly, and how many never do."""
    import tropica as tp
    from tropica.cli.compared import load_terms
    from tropica.errors import InputError

    stored = load_terms(terms)
    if at := stored.about.get("at"):
        raise InputError(f"these terms are functions of the inner layer {at!r}; use tp.influence with the points' values there")
    points = read_points(data, subset.value, limit=limit, label=label)
    found = tp.influence(tp.ExtractedFunction(stored, memory=memory, device=device.torch), points, progress=True)
    frame = found.to_dataframe()
    wrong = found.wrong
    numbers = {
        "points": found.points,
        "training_points": len(found.decides),
        "deciding": len(frame),
        "never": found.never,
        "deciding_half": found.deciding_half,
        "wrong": None if wrong is None else int(wrong.sum()),
    }

    def show() -> None:
        rows = [[i, *row] for i, row in zip(frame.index[:MOST].tolist(), frame[:MOST].to_numpy().tolist(), strict=True)]
        title = f"The training points that decide most often on {points.name}, {points.split}"
        print_table(title, ["training point", *frame.columns], rows, numbers=len(frame.columns))
        deciding = f"{len(frame):,} of {numbers['training_points']:,} training points; {found.never:,} never decide"
        half = f"{found.deciding_half:,} training points decide half of the {found.points:,} points"
        print_facts({"deciding": deciding, "half": half} | ({} if wrong is None else {"wrong": f"{int(wrong.sum()):,} points"}))

    return CommandResult(numbers, show, csv=lambda: frame.to_csv(lineterminator="\n"))
