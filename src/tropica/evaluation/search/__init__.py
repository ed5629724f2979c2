"""Exact maximum inner-product search for the active term, and its index."""
