"""Readers of network files: one file a format."""
