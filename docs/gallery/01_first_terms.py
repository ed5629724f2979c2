"""
Which training image decided this prediction?
=============================================

A network of ReLUs is one affine function on each of its linear regions. The functions of the training images' regions are
enough to rebuild much of the network: this is the extracted function N^(X) of TropEx (ICLR 2021). At a test image one term is
active. Its training image decided the label.
"""

import matplotlib.pyplot as plt
import torch

import tropica as tp
from tropica.studies.networks import build
from tropica.studies.training.loop import train

digits, test = tp.load_data("digits"), tp.load_data("digits", split="test")
model = build("fcn-small", digits.input_shape, seed=0)
_ = train(model, digits.inputs, digits.labels, epochs=15)

# %%
# Extract one linear term for each training image. The certificate says that Theorem 3.3 of the paper holds on the data.
terms = tp.extract(model, digits)
terms.certificate

# %%
# The extracted function agrees with the network on most test images, although it knows the network at the training images only.
f = tp.ExtractedFunction(terms)
tp.agreement(model, f, test)

# %%
# For each test image: the training image whose term is active, and the coefficients of that term.
chosen = torch.arange(6)
x = test.inputs[chosen]
active = f.active_term(x)
labels = f.predict(x)
coefficients = terms.local.image()[active]

fig, axes = plt.subplots(3, len(chosen), figsize=(9, 4.8), layout="constrained")
limit = float(coefficients.abs().max())
for k, column in enumerate(axes.T):
    column[0].imshow(x[k].squeeze(), cmap="gray_r")
    column[1].imshow(digits.inputs[active[k]].squeeze(), cmap="gray_r")
    image = coefficients[k].squeeze()
    shown = column[2].imshow(image, cmap="RdBu_r", vmin=-limit, vmax=limit)
    column[0].set_title(f"label {int(labels[k])}")
axes[0, 0].set_ylabel("test image")
axes[1, 0].set_ylabel("image of the\nactive term")
axes[2, 0].set_ylabel("coefficients\nof the term")
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
fig.colorbar(shown, ax=axes[:, -1], label="logit per unit of gray")
plt.show()
