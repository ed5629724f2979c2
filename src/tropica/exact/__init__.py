"""Exact arithmetic, independent of networks and geometry.

* :mod:`~tropica.exact.dyadic`: floats as integers over a power of two.
* :mod:`~tropica.exact.rational_arrays`: the one representation of rational arrays: integers over one denominator.
* :mod:`~tropica.exact.linear_algebra`: row reduction, rank, kernel, solutions and projections of integer matrices.
* :mod:`~tropica.exact.determinants`: determinants, cofactors and permanents of stacks of matrices.
* :mod:`~tropica.exact.linear_programs`: linear programs solved by HiGHS and certified in integers.
"""
