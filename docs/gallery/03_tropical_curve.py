"""
A tropical curve and its dual subdivision
=========================================

The maximum of finitely many affine functions with integer slopes is a tropical polynomial. It bends along its tropical
hypersurface, which is dual to a subdivision of the Newton polygon. All numbers are exact.
"""

import matplotlib.pyplot as plt

import tropica as tp

x, y = tp.TropicalPolynomial.variable(0, 2), tp.TropicalPolynomial.variable(1, 2)
p = 1 * x**2 + 1 * y**2 + 2 * x * y + 2 * x + 2 * y + 2
p

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 4.2))
tp.plots.hypersurface(p, ax=left)
tp.plots.dual_subdivision(p, ax=right)
left.set_title("tropical curve")
right.set_title("dual subdivision of the Newton polygon")
plt.show()
