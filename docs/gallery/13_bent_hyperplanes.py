"""
Hyperplanes that bend, colored by depth
=======================================

A unit of the first layer is zero on a hyperplane. A unit of a later layer is zero on a hyperplane that bends wherever it meets
one of an earlier layer. Together they are the borders of all cells: here on the plane through three images of digits.
"""

import matplotlib.pyplot as plt

import tropica as tp
from tropica.studies.networks import build
from tropica.studies.training.loop import train

digits = tp.load_data("digits")
model = build("fcn-small", digits.input_shape, seed=0)
_ = train(model, digits.inputs, digits.labels, epochs=10)
net = tp.trace(model, digits.inputs)

chosen = [int((digits.labels == label).nonzero()[0]) for label in (0, 1, 7)]
plane = tp.Plane.through(*digits.inputs[chosen].double(), margin=0.3)
cx = tp.linear_regions(net, plane)
cx

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4.6), layout="constrained")
tp.plots.units(cx, ax=left)
tp.plots.regions(cx, by="label", ax=right)
plt.show()
