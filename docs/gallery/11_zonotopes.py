"""
Zonotopes of a layer
====================

The Newton polytopes of a first layer's outputs are zonotopes: Minkowski sums of segments, one for each unit. Their vertices
count the layer's regions (Zhang et al. 2018).
"""

import matplotlib.pyplot as plt
import numpy as np

import tropica as tp

generators = np.array([[2, 0], [1, 1], [0, 2], [-1, 1], [1, 2]])
z = tp.polyhedra.Zonotope(generators)
z

# %%
fig, ax = plt.subplots(figsize=(4.6, 4.2))
tp.plots.zonotope(z, ax=ax)
ax.set(xlabel="exponent of x₁", ylabel="exponent of x₂")
plt.show()
