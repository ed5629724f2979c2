"""
A decision boundary as a surface
================================

With three inputs the decision boundary is a surface of flat polygons. It is an exact mesh: neighboring polygons share their
vertices, and a closed surface is watertight. ``mesh.save("surface.ply")`` writes it for a viewer or a printer.
"""

import matplotlib.pyplot as plt
import torch

import tropica as tp
from tropica.studies.training.loop import train

torch.manual_seed(0)
points = 3 * torch.rand(3000, 3) - 1.5
ring = (points[:, :2].norm(dim=1) - 0.9).square() + points[:, 2].square()
labels = (ring < 0.16).long()  # inside of a solid ring
layers = [torch.nn.Linear(3, 16), torch.nn.ReLU(), torch.nn.Linear(16, 16), torch.nn.ReLU(), torch.nn.Linear(16, 2)]
model = torch.nn.Sequential(*layers)
_ = train(model, points, labels, epochs=60, lr=1e-2)

# %%
cx = tp.linear_regions(tp.trace(model, points), tp.Box(-1.5, 1.5, d=3))
surface = cx.boundary().mesh()
print(cx)
print(surface, f"area {surface.area:.2f}, Euler characteristic {surface.euler_characteristic}")

# %%
fig = plt.figure(figsize=(6.5, 5), layout="constrained")
ax = fig.add_subplot(projection="3d")
ax.plot_trisurf(*surface.vertices.T, triangles=surface.triangles, color="#56b4e9", edgecolor="#33333340", linewidth=0.2)
ax.set(xlabel="x₁", ylabel="x₂", zlabel="x₃")
ax.set_box_aspect((1, 1, 0.8))
ax.view_init(elev=42)
plt.show()
