"""
Where do two networks differ most?
==================================

The difference of two networks is a network of ReLUs too. So its cells, its range and its zero set are computed like those of
any other. Here a network is compared with a copy whose weights were rounded to sixteenths.
"""

import copy

import matplotlib.pyplot as plt
import torch

import tropica as tp

torch.manual_seed(4)
layers = [torch.nn.Linear(2, 16), torch.nn.ReLU(), torch.nn.Linear(16, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1)]
model = torch.nn.Sequential(*layers).eval()
rounded = copy.deepcopy(model)
with torch.no_grad():
    for parameter in rounded.parameters():
        parameter.copy_((parameter * 16).round() / 16)

example, box = torch.zeros(2, 2), tp.Box(-1, 1, d=2)
difference = tp.subtract(tp.trace(model, example), tp.trace(rounded, example))
found = tp.output_range(difference, box, 0)
print(found)
worst = max((found.minimum, found.maximum), key=lambda extreme: abs(extreme.value))
print(f"largest difference {float(worst.value):.5f} at {worst.point}")

# %%
cx = tp.linear_regions(difference, box)
cx

# %%
t = torch.linspace(-1, 1, 161)
values = difference(torch.cartesian_prod(t, t)).reshape(161, 161).T
fig, ax = plt.subplots(figsize=(6, 4.8), layout="constrained")
shown = ax.pcolormesh(t, t, values, cmap="cividis", shading="gouraud", rasterized=True)
ax.plot(*worst.point, "k*", markersize=13, clip_on=False, label="largest difference")
ax.set(xlabel="x₁", ylabel="x₂", aspect="equal")
ax.legend(loc="lower left")
fig.colorbar(shown, label="network − rounded network")
plt.show()
