"""
Layer by layer
==============

Figure 3 of TropEx for a network of one's own: the part of the network behind each layer is rebuilt from its own terms. How
much of what the network does is fixed by its behavior at the training points, layer by layer?
"""

import matplotlib.pyplot as plt

import tropica as tp
from tropica.studies.networks import build
from tropica.studies.training.loop import train

digits, test = tp.load_data("digits"), tp.load_data("digits", split="test")
model = build("fcn-small", digits.input_shape, seed=0)
_ = train(model, digits.inputs, digits.labels, epochs=10)

found = tp.layerwise(model, digits.inputs, test.inputs, test.labels)
found.to_dataframe()

# %%
tp.plots.layers(found, title="digits, small dense network")
plt.show()
