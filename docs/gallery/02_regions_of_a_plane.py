"""
Linear regions on a square, and the decision boundary
=====================================================

All cells of a network with two inputs: where it is one affine function, and where its label changes. The result is exact.
Every cell is there once, also the thin ones.
"""

import matplotlib.pyplot as plt
import torch

import tropica as tp
from tropica.studies.training.loop import train

torch.manual_seed(1)
angle = 3 * torch.rand(600, 1).sqrt() * 2 * torch.pi / 2
arm = torch.randint(0, 2, (600, 1))
points = torch.cat([angle * torch.cos(angle + torch.pi * arm), angle * torch.sin(angle + torch.pi * arm)], 1) / 10
points = points + 0.01 * torch.randn_like(points)
layers = [torch.nn.Linear(2, 24), torch.nn.ReLU(), torch.nn.Linear(24, 24), torch.nn.ReLU(), torch.nn.Linear(24, 2)]
model = torch.nn.Sequential(*layers)
_ = train(model, points, arm.squeeze(), epochs=150)

# %%
net = tp.trace(model.eval(), points)
cx = tp.linear_regions(net, tp.Box(-1, 1, d=2))
cx

# %%
# Cells, coloured by the affine map of the network on them; the decision boundary on top.
fig, ax = plt.subplots(figsize=(6.4, 6))
tp.plots.regions(cx, ax=ax)
ax.scatter(*points.T, c=arm.squeeze(), cmap="coolwarm", s=6, edgecolors="white", linewidths=0.3)
ax.set(xlabel="x₁", ylabel="x₂")
plt.show()

# %%
# The boundary as a set of pieces: its exact length.
cx.boundary()
