"""Network files: seconds to read each, and the largest difference from the file's own evaluator.

Reads every ONNX and NNet file in the folders ``acasxu`` and ``onnx`` of the folder named by TROPICA_DATA, on one thread. The
seconds include the reader's own check. The difference from ``onnx.reference`` is on the check's random points, relative to the
largest output; for NNet files it is from a plain NumPy evaluation.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import torch
from onnx.reference import ReferenceEvaluator
from rich.table import Table

import tropica as tp
from benchmarks.report import show
from tropica.network.readers.nnet import read_nnet
from tropica.network.readers.onnx_check import check_inputs
from tropica.network.readers.onnx_file import read_file, tensor_type

FOLDERS = ("acasxu", "onnx")


def files() -> list[Path]:
    """The network files, in order."""
    root = Path(os.environ.get("TROPICA_DATA", "."))
    found = [path for folder in FOLDERS for path in sorted((root / folder).glob("*")) if path.suffix in (".onnx", ".nnet")]
    if not found:
        raise SystemExit("set TROPICA_DATA to a folder with the folders acasxu and onnx")
    return found


def reference_outputs(path: Path, x: np.ndarray) -> np.ndarray:
    """The outputs (B, s) of the file's own evaluator, point by point."""
    if path.suffix == ".nnet":
        content = read_nnet(str(path))
        z = (np.clip(x, content.minima.numpy(), content.maxima.numpy()) - content.means.numpy()) / content.ranges.numpy()
        for i, (weight, bias) in enumerate(content.layers):
            z = (np.maximum(z, 0) if i else z) @ weight.numpy().T + bias.numpy()
        return z * content.range + content.mean
    file = read_file(str(path), None)
    (info,) = file.inputs.values()
    shape = [1 if n is None else n for n in tensor_type(info)[1]]
    evaluator = ReferenceEvaluator(file.model)
    return np.stack([np.asarray(evaluator.run(None, {info.name: point.reshape(shape)})[0]).ravel() for point in x])  # pyright: ignore[reportArgumentType]


def measured(path: Path) -> tuple[tp.PiecewiseLinearNetwork, float, float]:
    """The network, the seconds to read it, and its largest relative difference from the file's own evaluator."""
    start = time.perf_counter()
    net = tp.load_network(path)
    seconds = time.perf_counter() - start
    x = check_inputs(net)
    wanted = reference_outputs(path, x.numpy()).astype(np.float64)
    difference = np.abs(net(x).double().numpy() - wanted).max() / np.abs(wanted).max()
    return net, seconds, float(difference)


def main() -> None:
    """Read every file, and print one line for each."""
    table = Table("file", "input", "outputs", "units", "difference", "seconds", title="Network files")
    torch.set_num_threads(1)
    paths = files()
    tp.load_network(paths[0])  # imports
    for path in paths:
        net, seconds, difference = measured(path)
        units = sum(node.units for node in net.nonlinearities)
        size = "×".join(map(str, net.input_shape))
        table.add_row(path.name, size, str(net.num_outputs), f"{units:,}", f"{difference:.1e}", f"{seconds:.2f}")
    show(table, "readers")


if __name__ == "__main__":
    main()
