"""The papers' experiments, each in a file."""
