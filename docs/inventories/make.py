"""Write the inventories of other projects' pages that ours refer to: ``python docs/inventories/make.py``."""

from __future__ import annotations

import zlib
from pathlib import Path

GENERATED = "reference/generated/{0}.html#{0}"
NAMES = {
    "python": {
        "collections.abc.Iterator py:class": "library/collections.abc.html#collections.abc.Iterator",
        "collections.abc.Callable py:class": "library/collections.abc.html#collections.abc.Callable",
        "collections.abc.Sequence py:class": "library/collections.abc.html#collections.abc.Sequence",
        "collections.abc.Mapping py:class": "library/collections.abc.html#collections.abc.Mapping",
        "fractions.Fraction py:class": "library/fractions.html#fractions.Fraction",
        "pathlib.Path py:class": "library/pathlib.html#pathlib.Path",
        "os.PathLike py:class": "library/os.html#os.PathLike",
        **{
            f"{name} py:class": f"library/{page}.html#{name}"
            for page, names in (("functions", ("bool", "int", "float")), ("stdtypes", ("str", "list", "tuple", "dict")))
            for name in names
        },
    },
    "numpy": {"numpy.ndarray py:class": GENERATED.format("numpy.ndarray")},
    "scipy": {
        "scipy.spatial.ConvexHull py:class": GENERATED.format("scipy.spatial.ConvexHull"),
        "scipy.sparse.csr_array py:class": GENERATED.format("scipy.sparse.csr_array"),
    },
    "torch": {
        "torch.Tensor py:class": "tensors.html#torch.Tensor",
        "torch.dtype py:class": "tensor_attributes.html#torch.dtype",
        "torch.device py:class": "tensor_attributes.html#torch.device",
        "torch.nn.Module py:class": "generated/torch.nn.Module.html#torch.nn.Module",
        "torch.nn.modules.module.Module py:class": "generated/torch.nn.Module.html#torch.nn.Module",
        "torch.nn.Linear py:class": "generated/torch.nn.Linear.html#torch.nn.Linear",
        "torch.utils.data.Dataset py:class": "data.html#torch.utils.data.Dataset",
        "torch.utils.data.DataLoader py:class": "data.html#torch.utils.data.DataLoader",
    },
}


def main() -> None:
    """Write one file a project, in version 2 of Sphinx's format."""
    for project, names in NAMES.items():
        lines = "".join(f"{name} 1 {address} -\n" for name, address in sorted(names.items()))
        head = f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n"
        head += "# The remainder of this file is compressed using zlib.\n"
        (Path(__file__).parent / f"{project}.inv").write_bytes(head.encode() + zlib.compress(lines.encode(), 9))


if __name__ == "__main__":
    main()
