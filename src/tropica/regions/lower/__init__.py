"""A network as stages of thresholds and windows, and its exact values."""
