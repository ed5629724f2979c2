"""
How far is the nearest other label?
===================================

The exact distance from a point to the decision boundary, found by visiting cells from the nearest on. The disk around each
point touches the boundary and does not cross it.
"""

import matplotlib.pyplot as plt
import torch

import tropica as tp
from tropica.studies.training.loop import train

torch.manual_seed(0)
points = 2 * torch.rand(800, 2) - 1
labels = (points[:, 1] > 0.5 * torch.sin(4 * points[:, 0])).long()
layers = [torch.nn.Linear(2, 10), torch.nn.ReLU(), torch.nn.Linear(10, 10), torch.nn.ReLU(), torch.nn.Linear(10, 2)]
model = torch.nn.Sequential(*layers)
_ = train(model, points, labels, epochs=60, lr=1e-2)
net = tp.trace(model, points)

centers = [[-0.6, 0.3], [0.0, -0.5], [0.6, -0.1], [0.7, 0.75]]
radii = [tp.robust_radius(net, center) for center in centers]
for center, radius in zip(centers, radii, strict=True):
    print(center, radius)

# %%
cx = tp.linear_regions(net, tp.Box(-1, 1, d=2))
fig, ax = plt.subplots(figsize=(5.6, 5.2), layout="constrained")
tp.plots.regions(cx, by="label", ax=ax)
for center, radius in zip(centers, radii, strict=True):
    ax.add_patch(plt.Circle(center, radius.upper, fill=False, color="black", linewidth=1.2))
    ax.plot(*center, "k.", markersize=5)
    ax.plot(*radius.point, "x", color="black", markersize=6)
plt.show()
