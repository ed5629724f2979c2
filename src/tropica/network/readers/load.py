"""``tp.load_network``: a network from a file, by the suffix of its name."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from tropica.errors import DataError, InputError, TropicaError
from tropica.network.network import PiecewiseLinearNetwork
from tropica.network.readers.nnet import load_nnet
from tropica.network.readers.pt2 import load_pt2
from tropica.runtime.arithmetic import own_settings

_PICKLES = (".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle", ".joblib", ".tar", ".ts")
_KERAS = (".keras", ".h5", ".hdf5", ".tflite", ".pb")
ACCEPTED = ".onnx, .nnet or .pt2"


@own_settings()
def load_network(
    path: str | os.PathLike[str],
    *,
    device: str | torch.device = "cpu",
    output: int | str | None = None,
    fixed: Mapping[str, Any] | None = None,
    flatten_output: bool = False,
) -> PiecewiseLinearNetwork:
    """Load a network from a file. Nothing in the file is unpickled or executed.

    * ``.onnx`` (with the extra ``tropica[onnx]``): opset 7 to 22. A first axis that is free or of size 1 is the batch, unless
      it is the only axis; a file without a batch axis is a function of its whole input. The network is compared with
      ``onnx.reference`` on random points before it is returned.
    * ``.nnet`` (Stanford's format for ACAS Xu): with its normalization, and with its bounds, to which inputs are clipped; in
      float64.
    * ``.pt2``: written by ``torch.export.save`` of torch 2.8 or newer, from a model in eval mode with a dynamic batch size.

    Args:
        path: the file.
        device: device of the network.
        output: for ``.onnx``: name or position of the output, if there are several.
        fixed: for ``.onnx``: values of further inputs by name, in the shapes of the file.
        flatten_output: for ``.onnx``: read outputs of more than one axis, and make them logits (B, s).

    Returns:
        The network. A final softmax, log_softmax or sigmoid is dropped, and named in ``dropped``.

    Raises:
        DataError: the file is missing, damaged, of another kind, or of a version that is not read.
        InputError: an argument does not fit the file, or would be ignored; the package ``onnx`` is missing.
        UnsupportedOperation: an op is not piecewise linear, or not read; the error names op and node.
        TraceError: the points of a batch are not independent, or the output has not the shape of logits.
        TraceMismatch: the network does not compute what the file's own evaluator computes.
        NonFiniteWeights: a weight is NaN or infinite.

    >>> import tempfile, torch, tropica as tp
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    >>> batch = ({0: torch.export.Dim.DYNAMIC},)
    >>> program = torch.export.export(model, (torch.zeros(2, 4),), dynamic_shapes=batch)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     torch.export.save(program, f"{folder}/model.pt2")
    ...     net = tp.load_network(f"{folder}/model.pt2")
    >>> x = torch.randn(5, 4)
    >>> bool(torch.allclose(net(x), model(x), atol=1e-6))
    True
    """
    path = os.fspath(path)
    suffix = Path(path).suffix.lower()
    try:
        with torch.inference_mode(False), torch.device("cpu"):
            if suffix == ".onnx":
                return _onnx(path, output, fixed, flatten_output).to(device)
            if output is not None or fixed is not None or flatten_output:
                raise InputError("output=, fixed= and flatten_output= are for .onnx files")
            if suffix == ".nnet":
                return load_nnet(path).to(device)
            if suffix == ".pt2":
                return load_pt2(path).to(device)
            raise DataError(_refusal(path, suffix))
    except TropicaError as error:
        error.args = (f"{path}: {error}",)
        raise


def _onnx(path: str, output: int | str | None, fixed: Mapping[str, Any] | None, flatten_output: bool) -> PiecewiseLinearNetwork:
    try:
        from tropica.network.readers.onnx_network import load_onnx
    except ModuleNotFoundError as error:
        if error.name not in ("onnx", "google", "google.protobuf", "ml_dtypes"):
            raise
        raise InputError(
            f"reading ONNX files needs the package {error.name}, which is not installed: pip install 'tropica[onnx]'"
        ) from None
    return load_onnx(path, output, fixed, flatten_output)


def _refusal(path: str, suffix: str) -> str:
    """What to do with a file of another kind."""
    if is_torchscript(path):
        return (
            "a TorchScript archive, which has code in it and is not read; export the module that it was made from, with "
            "torch.onnx.export(model, (example,), 'model.onnx'), or torch.export.export and torch.export.save"
        )
    if suffix in _PICKLES:
        return (
            "such files are read by unpickling, which can run code, and a file of weights has no architecture: build the model "
            "in Python, load its weights, and trace it (on the command line: package.module:factory with --weights FILE)"
        )
    if suffix == ".safetensors":
        return "a file of weights without an architecture: build the model in Python, load its weights, and trace it"
    if suffix in _KERAS:
        return "a file of Keras or TensorFlow; convert it to ONNX (model.export('model.onnx', format='onnx'), or tf2onnx)"
    return f"the suffix {suffix!r} is not known; {ACCEPTED} is read"


def is_torchscript(path: str) -> bool:
    """Whether a file is an archive of torch.jit.save: a zip file with code in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile, ValueError, RuntimeError, NotImplementedError):
        return False
    return any("/code/" in name for name in names) and any(name.endswith("/constants.pkl") for name in names)
