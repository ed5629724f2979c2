"""Services for long computations: memory, processes, interrupts, progress, files."""
