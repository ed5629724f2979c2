"""
Explain one prediction
======================

What decides the label of one test image: the active term and the runners-up, as their training images, with values and
margin; the network's own coefficients beside those of the active term; the activations that both images share.
"""

import tropica as tp
from tropica.studies.networks import build
from tropica.studies.training.loop import train

digits, test = tp.load_data("digits"), tp.load_data("digits", split="test")
model = build("fcn-small", digits.input_shape, seed=0)
_ = train(model, digits.inputs, digits.labels, epochs=10)
f = tp.ExtractedFunction(tp.extract(model, digits))

# %%
# The test image on which N^(X) has the smallest margin: its largest value is hardly larger than the second.
closest = int(f.margin(test.inputs).argmin())
why = tp.explain(model, f, test.inputs[[closest]], test.labels[[closest]], k=4, data=digits)
why.to_dataframe()

# %%
_ = tp.plots.explain(why, 0)
