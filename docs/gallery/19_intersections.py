"""
Two tropical curves meet
========================

Two tropical curves may share whole segments. Their stable intersection is finite: the limit of the intersections after small
shifts. Counted with multiplicity it has as many points as the mixed volume of the Newton polygons says (Bernstein's theorem).
"""

import matplotlib.pyplot as plt
from matplotlib.collections import LineCollection

import tropica as tp

conic = tp.parse_tropical("max(2*x, 2*y, x + y + 2, x + 2, y + 1, 0)")
line = tp.parse_tropical("max(x, y + 1, 0)")

both = tp.stable_intersection(conic, line)
print(both)
for point, multiplicity in zip(both.points, both.multiplicities, strict=True):
    print("point", *point, "multiplicity", multiplicity)
print("mixed volume", tp.mixed_volume(conic, line))

# %%
fig, ax = plt.subplots(figsize=(5.4, 4.8), layout="constrained")
limits = [(-4, 4), (-4, 4)]
tp.plots.hypersurface(conic, limits=limits, ax=ax)
before = len(ax.collections)
tp.plots.hypersurface(line, limits=limits, ax=ax, title="a tropical conic and a line")
for added in list(ax.collections)[before:]:  # the line: its edges alone
    added.set(color="#0072b2", linewidth=2) if isinstance(added, LineCollection) else added.set_visible(False)
for point in both.points:
    ax.plot(*map(float, point), "o", color="#d55e00", markersize=8, zorder=5)
plt.show()
