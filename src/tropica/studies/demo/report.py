"""The demo's report: one HTML file that needs nothing beside it."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import torch

from tropica.studies.demo.rows import COLUMNS, PAPER, DemoRow

STYLE = """
body { font: 16px/1.55 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 62rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: .2rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .9rem; margin: .8rem 0; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid #ddd; text-align: left; white-space: nowrap; vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
thead th { border-bottom: 2px solid #444; vertical-align: bottom; }
figure { margin: 1rem 0; } img { max-width: 100%; height: auto; } figcaption, .small { color: #444; font-size: .9rem; }
code, pre { font: .88rem/1.5 ui-monospace, monospace; background: #f4f4f4; } pre { padding: .7rem 1rem; overflow-x: auto; }
dt { font-weight: 600; margin-top: .4rem; } dd { margin-left: 1.2rem; }
@media print { table { font-size: .7rem; } }
"""
HEAD = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>tropica demo</title><style>{STYLE}</style></head>
<body>
"""


def report_page(rows: Sequence[DemoRow], numbers: Mapping[str, Any], pictures: Mapping[str, bytes]) -> str:
    """The whole page.

    Args:
        rows: of the table.
        numbers: settings, versions, networks, points and seconds, as in ``demo.json``.
        pictures: PNG by file name.
    """
    parts = [
        "<h1>tropica demo: networks rebuilt from their linear terms</h1>",
        _introduction(rows),
        f"<h2>How often network, extracted function and truth agree: % of {rows[0].test_points} test digits</h2>",
        _results(rows),
        "<h2>The paper's Table 2</h2>",
        _paper(rows),
        "<h2>What decides a test point</h2>",
        picture(pictures, "term-images.png", "Test digits, their own coefficients, and those that decide", TERMS),
        picture(pictures, "angle-distance.png", "Angle against distance, for FCN and CNN", ANGLES),
        _medians(numbers["points"]),
        "<h2>Settings</h2>",
        _settings(numbers),
        "<h2>Going on from here</h2>",
        _next(numbers),
    ]
    return HEAD + "\n".join(parts) + "\n</body></html>\n"


TERMS = (
    "Calibrated decomposition. A row shows a test digit, the coefficients of the affine function that the network is around it, the "
    "training digit whose term is largest at the test digit, and that term's coefficients. For each network: the first right "
    "answers to three different digits, then the first wrong ones, picked by their place in the data and by nothing else. "
    "Red coefficients raise the label's logit where there is ink, blue ones lower it; each row has its own scale."
)
ANGLES = (
    "Calibrated decomposition; the paper's Figure 2 in small. A mark is a test digit: the angle between its own coefficients and those "
    "of the training term that decided it, and their Euclidean distance. Blue circles are right answers of the extracted "
    "function, orange crosses wrong ones. In the paper, on CIFAR-10, all angles of the convolutional networks lie near 90°, "
    "while those of the fully connected ones are smaller, and smaller still where the answer is right; networks and images as "
    "small as these need not show the first."
)


def _introduction(rows: Sequence[DemoRow]) -> str:
    first = rows[0]
    return (
        f"<p>A network N is trained on {first.terms:,} digits. From each of them one pair of affine functions is extracted "
        "(TropEx, Trimmel, Petzka and Sminchisescu, ICLR 2021), and these alone make up the extracted function "
        "N<sup>(X)</sup>. On the training points it gives the labels of N, which is a theorem and is checked here. "
        f"The table asks how it does on {first.test_points:,} digits that neither has seen.</p>"
    )


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[bool]) -> str:
    """An HTML table; all entries are escaped, line breaks in headings are kept.

    >>> table(["a", "b"], [["<", "1"]], [False, True]).count("&lt;")
    1
    """
    marks = [' class="number"' if number else "" for number in numbers]
    head = "".join(
        f"<th{mark}>{escape(text).replace(chr(10), '<br>')}</th>" for mark, text in zip(marks, headings, strict=True)
    )
    body = "".join(
        "<tr>" + "".join(f"<td{mark}>{escape(text)}</td>" for mark, text in zip(marks, row, strict=True)) + "</tr>\n"
        for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>'


def _results(rows: Sequence[DemoRow]) -> str:
    entries = [[column.entry(row) for column in COLUMNS] for row in rows]
    meanings = "".join(f"<dt>{escape(column.title)}</dt><dd>{escape(column.meaning)}</dd>" for column in COLUMNS[2:])
    one = 100 / rows[0].test_points
    return (
        table([c.heading for c in COLUMNS], entries, [c.number for c in COLUMNS])
        + f'<p class="small">One test point is {one:.2f} %: differences of a few tenths of a percent mean nothing here. '
        "The calibrated decomposition takes the tensors K from the data, the paper's decomposition takes them from the weights alone "
        "(Algorithm 3.1), where they grow with every layer.</p>"
        f"<details><summary>What the columns mean</summary><dl>{meanings}</dl></details>"
    )


def _paper(rows: Sequence[DemoRow]) -> str:
    headings = ["in %", "N =\nN^(X)", "N =\ntrue", "N^(X)\n= true"]
    ours = [
        [f"{row.network}, digits, {row.decomposition} split (here)", *(COLUMNS[i].entry(row) for i in (2, 3, 4))]
        for row in rows
    ]
    return (
        table(headings, [*PAPER, *ours], [False, True, True, True])
        + '<p class="small">The paper: mean ± standard deviation of five networks, with 60,000 (MNIST) and 50,000 (CIFAR-10) '
        f"terms. Here: one network of each kind, {rows[0].terms:,} terms, images of 8 × 8 pixels. It is "
        "another experiment, and only the pattern can be compared.</p>"
    )


def picture(pictures: Mapping[str, bytes], name: str, alt: str, caption: str) -> str:
    """A picture of the page, inline, with its caption and its file's name."""
    data = base64.b64encode(pictures[name]).decode("ascii")
    return (
        f'<figure><img alt="{escape(alt)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{escape(caption)} File: <code>{escape(name)}</code></figcaption></figure>"
    )


def _medians(points: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]]) -> str:
    """Median angle and distance of right and of wrong answers, a row a network and split."""
    rows = []
    for name, decompositions in points.items():
        for method, one in decompositions.items():
            right = torch.tensor(one["extracted"]) == torch.tensor(one["true"])
            measured = [torch.tensor(one[key], dtype=torch.float64) for key in ("angle", "distance")]
            cells = [_median(values[which]) for values in measured for which in (right, ~right)]
            rows.append([name, method, f"{int(right.sum())} / {int((~right).sum())}", *cells])
    headings = [
        "network",
        "decomposition",
        "right / wrong",
        "angle\nright",
        "angle\nwrong",
        "distance\nright",
        "distance\nwrong",
    ]
    return "<p>Medians over the test points, angles in degrees:</p>" + table(headings, rows, [False, False, *[True] * 5])


def _median(values: torch.Tensor) -> str:
    return f"{float(values.nanquantile(0.5)):.3g}" if len(values) else "–"


def _settings(numbers: Mapping[str, Any]) -> str:
    lines = [[key, str(value)] for key, value in numbers["settings"].items()]
    for name, network in numbers["networks"].items():
        training = network["training"]
        lines.append(
            [
                name,
                f"{network['model']} ({network['layers']}): {network['parameters']:,} parameters, {network['nonlinearities']} nonlinearities "
                f"with {network['units']:,} units; training accuracy {training['accuracy']:.1%}, {training['seconds']:.1f} s",
            ]
        )
    lines.append(["versions", ", ".join(f"{name} {number}" for name, number in numbers["versions"].items())])
    lines.append(["seconds", f"{numbers['seconds']:.1f} in all, this page not counted"])
    return table(["", ""], lines, [False, False]).replace("<td>", '<td style="white-space: normal">')


def _next(numbers: Mapping[str, Any]) -> str:
    network = numbers["networks"]["CNN"]
    model = f"tropica:{network['model']} --weights {network['weights']}"
    commands = (
        f"tropica trace {model} --data digits\n"
        f"tropica decomposition {model} --data digits --method paper\n"
        f"tropica extract {model} --data digits -o terms\n"
        f"tropica evaluate terms --data digits --model {model}\n"
    )
    return f"<p>The networks are beside this page. In its folder:</p><pre>{escape(commands)}</pre>"
