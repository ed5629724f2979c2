"""A line on standard error while the kernels are compiled, which takes long and happens once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from numba.core import event


class _Saying(event.Listener):
    """Says once on standard error that kernels are being compiled."""

    said = False

    def on_start(self, event: event.Event) -> None:
        compiled = (event.data or {}).get("dispatcher")
        if not self.said and getattr(compiled, "__module__", "").startswith("tropica."):
            self.said = True
            kernels = "kernels of the region engine, once for each dimension and kind of unit"
            print(f"tropica: compiling {kernels} (some 10 s) …", file=sys.stderr)

    def on_end(self, event: event.Event) -> None:
        pass


@contextmanager
def saying_compilation() -> Iterator[None]:
    """Say on standard error when numba compiles instead of loading from its cache."""
    with event.install_listener("numba:compile", _Saying()):
        yield
