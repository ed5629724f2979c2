"""Training of classifiers: the loop, the paper's settings, and runs that are kept by epoch and go on where they stopped.

Nothing is imported here, as `tropica.models` hands on ``train`` from `tropica.training.loop`, and the runs build its models.
"""
