"""
Linear regions while a network is trained
=========================================

The number of cells on a plane through three training images, and the length of the decision boundary there, epoch by epoch.
"""

import matplotlib.pyplot as plt

import tropica as tp
from tropica.studies.networks import build
from tropica.studies.training.loop import train

digits = tp.load_data("digits")
chosen = [int((digits.labels == label).nonzero()[0]) for label in (0, 1, 7)]
plane = tp.Plane.through(*digits.inputs[chosen].double(), margin=0.3)
model = build("fcn-small", digits.input_shape, seed=0)

cells, lengths = [], []
for _ in range(7):
    cx = tp.linear_regions(tp.trace(model.eval(), digits.inputs), plane)
    cells.append(len(cx.cells))
    lengths.append(cx.boundary().measure)
    train(model, digits.inputs, digits.labels, epochs=2)

# %%
epochs = [2 * k for k in range(len(cells))]
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
left.plot(epochs, cells, "o-", color="#0072b2")
left.set(xlabel="epochs", ylabel="cells on the plane", ylim=(0, None))
right.plot(epochs, lengths, "o-", color="#d55e00")
right.set(xlabel="epochs", ylabel="length of the decision boundary", ylim=(0, None))
plt.show()
