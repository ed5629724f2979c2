"""
Two trainings compared
======================

Two networks of one architecture, trained from different initial weights, and one of them at two epochs. Do they decide alike,
and for the same reasons?
"""

import copy

import matplotlib.pyplot as plt

import tropica as tp
from tropica.studies.networks import build
from tropica.studies.training.loop import train

digits, test = tp.load_data("digits", limit=800), tp.load_data("digits", split="test")
early = build("fcn-small", digits.input_shape, seed=0)
_ = train(early, digits.inputs, digits.labels, epochs=5)
late = copy.deepcopy(early)
_ = train(late, digits.inputs, digits.labels, epochs=10)
other = build("fcn-small", digits.input_shape, seed=1)
_ = train(other, digits.inputs, digits.labels, epochs=15)

epochs = tp.compare_models(early, late, digits, test)
seeds = tp.compare_models(late, other, digits, test)
seeds.to_dataframe()

# %%
# The coefficients of a training image in both networks: 0° is the same direction, 90° has nothing in common.
fig, ax = plt.subplots(figsize=(6.5, 3.4), layout="constrained")
ax.hist(epochs.angle.numpy(), bins=40, range=(0, 120), color="#0072b2", alpha=0.7, label="epoch 5 and epoch 15")
ax.hist(seeds.angle.numpy(), bins=40, range=(0, 120), color="#e69f00", alpha=0.7, label="two initial weights")
ax.set(xlabel="angle between coefficients (degrees)", ylabel="training images")
ax.legend()
plt.show()
