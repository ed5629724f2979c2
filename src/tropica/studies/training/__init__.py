"""Training of classifiers: the loop, the papers' settings, and runs kept by epoch."""
