"""
A tropical curve and its dual subdivision
=========================================

The maximum of finitely many affine functions with integer slopes is a tropical polynomial. It bends along its tropical
hypersurface, which is dual to a subdivision of the Newton polygon. All numbers are exact.
"""

import matplotlib.pyplot as plt

import tropica as tp

p = tp.parse_tropical("max(2*x + 1, 2*y + 1, x + y + 2, x + 2, y + 2, 2)")
p

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 4.2))
tp.plots.hypersurface(p, ax=left)
tp.plots.dual_subdivision(p, ax=right)
left.set_title("tropical curve")
right.set_title("dual subdivision of the Newton polygon")
plt.show()
