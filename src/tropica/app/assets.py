"""The page: the files of ``static/``, read once; a request names one of them or gets nothing."""

from __future__ import annotations

from importlib.resources import files

from starlette.responses import PlainTextResponse, Response

TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml", "json": "application/json"}


def read_assets() -> dict[str, Response]:
    """An answer for each file of the page, by its name."""
    found = {}
    for file in files("tropica.app").joinpath("static").iterdir():
        kind = TYPES.get(file.name.rpartition(".")[2])
        if kind is not None:
            found[file.name] = Response(file.read_bytes(), media_type=kind)
    return found


def missing(name: str) -> Response:
    """The answer for a name that there is not."""
    return PlainTextResponse(f"there is no {name[:80]!r}", 404)
