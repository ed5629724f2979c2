"""The search for cells: a network on a domain laid out for the kernels, tasks, threads, exact signs."""
