"""The pages of the API reference: every public name is on one of them, or the build fails."""

from __future__ import annotations

import ast
import inspect
import itertools
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

import tropica

if TYPE_CHECKING:
    from sphinx.application import Sphinx

FOLDER = Path(__file__).parent / "api"

PAGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "networks": (
        "Networks",
        (
            *("trace", "load_network", "from_layers", "from_sklearn", "PiecewiseLinearNetwork", "AffineMap"),
            *("inner_points", "local_terms"),
        ),
    ),
    "data": ("Data", ("load_data", "LabelledData", "KeyedData")),
    "terms": (
        "Decompositions and linear terms",
        (
            *("decompose", "DCDecomposition", "load_decomposition", "extract", "LinearTerms", "AffineTerms", "Certificate"),
            *("load_terms", "check_terms", "pairwise_excess"),
        ),
    ),
    "function": ("The extracted function N^(X)", ("ExtractedFunction", "TopTerms")),
    "comparing": (
        "Comparing",
        (
            *("agreement", "Agreement", "regression_agreement", "RegressionAgreement", "angles", "distances", "correlation"),
            *("pattern_agreement", "count_patterns", "count_terms"),
        ),
    ),
    "explaining": (
        "Explaining predictions, comparing models",
        (
            *("explain", "Explanation", "influence", "Influence", "nearest_neighbors", "NearestNeighbors"),
            *("layerwise", "Layerwise", "compare_models", "ModelComparison"),
            *("follow", "Follower", "dead_units", "DeadUnits"),
        ),
    ),
    "domains": (
        "Domains",
        (*("Domain", "Box", "Segment", "Plane", "Triangle", "Polygon", "Simplex", "Polytope", "Ball", "Slice", "Space"),),
    ),
    "regions": (
        "Linear regions",
        (
            *("linear_regions", "RegionComplex", "load_regions", "count_cells", "CellCount"),
            *("iter_cells", "CellBlock", "estimate_regions", "estimate_patterns", "estimate_density", "Estimate"),
            *("persistence", "PersistenceDiagram", "critical_points", "CriticalPoints"),
        ),
    ),
    "queries": (
        "Questions asked of regions",
        (
            *("cell", "Cell", "walk_cells", "Walk", "robust_radius", "RobustRadius"),
            *("integrated_gradients", "Attributions", "subtract", "output_range", "OutputRange"),
            *("verify", "Verdict", "Property", "load_property", "check_verdict"),
        ),
    ),
    "tropical": (
        "Tropical algebra and geometry",
        (
            *("TropicalPolynomial", "MinPlusPolynomial", "TropicalRational", "TropicalMap", "to_tropical", "to_network"),
            *("parse_tropical", "tropical_sum", "tropical_prod", "mixed_volume", "stable_intersection", "prevariety"),
            *("arrangement", "zonotopes", "boundary_superset"),
        ),
    ),
    "errors": (
        "Errors",
        (
            *("TropicaError", "InputError", "DataError", "TraceError", "TraceMismatch", "TrainingModeError"),
            *("UnsupportedOperation", "NonFiniteWeights", "CertificateError", "StoreError", "ProcessError"),
        ),
    ),
}
"""Name of a page: its title and the names in ``tropica`` that stand on it."""

PACKAGES = {
    "bounds": "Published bounds on the number of linear regions",
    "plots": "Pictures",
    "polyhedra": "Polyhedra",
    "studies": "Studies of the papers",
}
"""Packages whose public names have a page, and its title; those of ``tropica.tropical`` are on the page of that title."""


def lists() -> dict[str, tuple[str, list[str]]]:
    """The pages: name, title and full names of their objects."""
    pages = {page: (title, [f"tropica.{name}" for name in names]) for page, (title, names) in PAGES.items()}
    at_top = set(tropica.__all__)
    inner = [name for name in tropica.tropical.__all__ if name not in at_top and name != "matrices"]
    pages["tropical"][1].extend([f"tropica.tropical.{name}" for name in inner])
    matrices = tropica.tropical.matrices
    own = [name for name, value in vars(matrices).items() if getattr(value, "__module__", "") == matrices.__name__]
    pages["tropical"][1].extend(f"tropica.tropical.matrices.{name}" for name in own if not name.startswith("_"))
    for package, title in PACKAGES.items():
        module = getattr(tropica, package)
        functions = [
            name for name in module.__all__ if name not in at_top or getattr(tropica, name) is not getattr(module, name)
        ]
        pages[package] = (title, [f"tropica.{package}.{name}" for name in functions])
    return pages


def missing() -> list[str]:
    """Public names without a place, which is an error, and places without a public name."""
    placed = {name for _, names in PAGES.values() for name in names}
    packages = {*PACKAGES, "tropical", "__version__"}
    return sorted((set(tropica.__all__) - packages) ^ placed)


def documented(name: str) -> str:
    """The docstring of a public name; of a constant or a type alias the string behind its assignment."""
    *path, last = name.split(".")[1:]
    if name not in constants():
        return attrgetter(".".join([*path, last]))(tropica).__doc__ or ""
    for file in sorted(Path(tropica.__file__).parent.joinpath(*path).rglob("*.py")):
        body = ast.parse(file.read_text(encoding="utf8")).body
        for node, behind in itertools.pairwise(body):
            if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == last and isinstance(behind, ast.Expr):
                return str(ast.literal_eval(behind.value))
    return ""


def constants() -> list[str]:
    """Public names of constants and type aliases."""
    every = [name for _, names in lists().values() for name in names]
    values = {name: attrgetter(name.removeprefix("tropica."))(tropica) for name in every}
    return [name for name, value in values.items() if not inspect.isclass(value) and not inspect.isroutine(value)]


def without_example() -> list[str]:
    """Public names whose entry shows no example."""
    return [name for _, names in lists().values() for name in names if ">>> " not in documented(name)]


def write(app: Sphinx, config: object) -> None:
    """Write the pages that changed."""
    if missing():
        raise ValueError(f"docs/public_names.py and tropica.__all__ differ in {', '.join(missing())}")
    FOLDER.mkdir(exist_ok=True)
    for page, (title, names) in lists().items():
        body = "".join(f"   {name}\n" for name in names)
        text = f"{title}\n{'=' * len(title)}\n\n.. autosummary::\n   :toctree: generated\n   :nosignatures:\n\n{body}"
        path = FOLDER / f"{page}.rst"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def escape(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Escape stars and bars: in docstrings of this package they are shapes (B, *input) and absolute values |x|."""
    for i, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            bullet = line[: len(line) - len(line.lstrip("* "))] if line.lstrip().startswith("* ") else ""
            parts = line[len(bullet) :].split("``")
            parts[::2] = [part.replace("*", "\\*").replace("|", "\\|") for part in parts[::2]]
            lines[i] = bullet + "``".join(parts)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register both steps."""
    app.connect("config-inited", write)
    app.connect("autodoc-process-docstring", escape, priority=100)  # before Google style is read
    return {"parallel_read_safe": True}
