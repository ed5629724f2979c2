"""Data of any kind as a repeatable pass over checked batches, and readers for files."""
