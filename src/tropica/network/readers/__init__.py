"""Readers of network files, one module per format."""
