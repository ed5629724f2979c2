"""Readers for data files: one file a format."""
