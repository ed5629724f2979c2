"""Comparisons of a network with its extracted function, of terms with terms, and of activation patterns."""
