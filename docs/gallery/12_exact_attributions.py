"""
Exact attributions
==================

Along the segment from a black image to a test image the gradient of a network of ReLUs is constant between breakpoints. The
integral of integrated gradients is then a finite sum. No number of steps is chosen, and nothing is left out.
"""

import matplotlib.pyplot as plt
import torch

import tropica as tp
from tropica.studies.networks import build
from tropica.studies.training.loop import train

digits, test = tp.load_data("digits"), tp.load_data("digits", split="test")
model = build("fcn-small", digits.input_shape, seed=0)
_ = train(model, digits.inputs, digits.labels, epochs=10)
net = tp.trace(model, digits.inputs)
x = test.inputs[:5]

found = tp.integrated_gradients(net, x)
print(f"affine pieces: {found.pieces.flatten().tolist()}")
print(f"largest completeness residual: {float(found.residual.max()):.1g}")

# %%
# The usual way takes the mean of gradients at steps. Its error against the exact values falls slowly: the gradient jumps.
target = net.predict(x)
steps_tried, errors = (4, 8, 16, 32, 64, 128, 256), []
for steps in steps_tried:
    t = (torch.arange(steps, dtype=torch.float64) + 0.5) / steps
    points = (t[:, None, None, None, None] * x.double()).flatten(0, 1).float()
    weight = net.local_map(points).weight.unflatten(0, (steps, len(x)))
    rows = weight[:, torch.arange(len(x)), target].double()
    approximate = (rows.mean(0) * x.double()).flatten(1)
    errors.append(float((approximate - found.values.reshape(len(x), -1)).abs().max()))

# %%
fig, axes = plt.subplots(2, 5, figsize=(9, 3.8), layout="constrained")
limit = float(found.values.abs().max())
for k, (above, below) in enumerate(axes.T):
    above.imshow(x[k].squeeze(), cmap="gray_r")
    above.set_title(f"label {int(target[k])}")
    shown = below.imshow(found.values[k].reshape(8, 8), cmap="RdBu_r", vmin=-limit, vmax=limit)
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
axes[0, 0].set_ylabel("test image")
axes[1, 0].set_ylabel("attribution")
fig.colorbar(shown, ax=axes[1], label="part of the logit")
plt.show()

# %%
fig, ax = plt.subplots(figsize=(5.5, 3.4), layout="constrained")
ax.loglog(steps_tried, errors, "o-", color="#0072b2")
ax.set(xlabel="steps of the approximation", ylabel="largest error of an attribution")
plt.show()
