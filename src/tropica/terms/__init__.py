"""The linear terms of a data set, and the function they make up."""

from tropica.terms.certificate import Certificate
from tropica.terms.extract import extract
from tropica.terms.extracted import ExtractedFunction
from tropica.terms.linear import AffineTerms, LinearTerms, TermBlock
from tropica.terms.load import load_terms, verify_terms

__all__ = [
    "AffineTerms",
    "Certificate",
    "ExtractedFunction",
    "LinearTerms",
    "TermBlock",
    "extract",
    "load_terms",
    "verify_terms",
]
