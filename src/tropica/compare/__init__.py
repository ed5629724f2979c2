"""N against N^(X), and comparisons between terms, layers and models."""
