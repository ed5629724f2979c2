"""Data: any kind of data as a repeatable pass of checked batches, and readers for files."""
