"""Readers for data files: one file for each format."""
