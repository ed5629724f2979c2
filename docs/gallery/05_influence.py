"""
Training images that decide often, and those that never do
==========================================================

Each test image is decided by one training image: the one whose term is active. A few training images decide many test images,
most decide none.
"""

import matplotlib.pyplot as plt

import tropica as tp
from tropica.studies.networks import build
from tropica.studies.training.loop import train

digits, test = tp.load_data("digits"), tp.load_data("digits", split="test")
model = build("fcn-small", digits.input_shape, seed=0)
_ = train(model, digits.inputs, digits.labels, epochs=10)
f = tp.ExtractedFunction(tp.extract(model, digits))

found = tp.influence(f, test.inputs, test.labels)
found

# %%
tp.plots.influence(found, title="digits, small dense network")
plt.show()

# %%
# The eight training images that decide most often.
fig, axes = plt.subplots(1, 8, figsize=(9, 1.6))
for ax, k in zip(axes, found.order[:8].tolist(), strict=True):
    ax.imshow(digits.inputs[k].squeeze(), cmap="gray_r")
    ax.set(xticks=[], yticks=[], title=f"{int(found.right[k])} right\n{int(found.wrong[k])} wrong")
plt.show()
