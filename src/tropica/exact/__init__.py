"""Exact arithmetic: integers over a power of two, linear algebra, certified linear programs. Knows no networks."""
