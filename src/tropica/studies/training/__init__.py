"""Training of classifiers: the loop, the paper's settings, and runs whose weights are saved by epoch."""
