"""
The range of an output, and a proof
===================================

The smallest and the largest value of an output on a box, as exact fractions, with the points that attain them; and a property
that is proven, or refuted by a counterexample.
"""

import matplotlib.pyplot as plt
import torch

import tropica as tp

torch.manual_seed(2)
layers = [torch.nn.Linear(2, 12), torch.nn.ReLU(), torch.nn.Linear(12, 12), torch.nn.ReLU(), torch.nn.Linear(12, 1)]
net = tp.trace(torch.nn.Sequential(*layers).eval(), torch.zeros(2, 2))
box = tp.Box(-2, 2, d=2)

found = tp.output_range(net, box, 0)
found

# %%
# A level above the maximum is proven by splitting the box; a level below it is refuted by a point.
top = float(found.maximum.value)
for level in (top + 0.01, top - 0.01):
    verdict = tp.verify(net, box, tp.Property.below(0, level, outputs=1))
    print(f"output < {level:.4f}: {verdict}")

# %%
t = torch.linspace(-2, 2, 161)
x = torch.cartesian_prod(t, t)
fig, ax = plt.subplots(figsize=(6, 4.8), layout="constrained")
shown = ax.contourf(t, t, net(x).reshape(161, 161).T, levels=24, cmap="cividis")
look = {"color": "#d55e00", "markeredgecolor": "white", "markersize": 10, "linestyle": "none", "clip_on": False}
for extreme, marker, name in ((found.minimum, "v", "minimum"), (found.maximum, "^", "maximum")):
    ax.plot(*extreme.point, marker, label=name, **look)
ax.set(xlabel="x₁", ylabel="x₂", aspect="equal")
ax.legend(loc="lower right")
fig.colorbar(shown, label="output")
plt.show()
