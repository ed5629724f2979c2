"""
Three DC decompositions of one network
======================================

A network is a difference of two convex functions in many ways. The paper's way is convex for any input; the calibrated one as
much as the data need; the minimal one as little as Theorem 3.3 allows. The less is added, the closer N^(X) is to the network.
"""

import matplotlib.pyplot as plt

import tropica as tp
from tropica.studies.networks import build
from tropica.studies.training.loop import train

digits, test = tp.load_data("digits", limit=600), tp.load_data("digits", split="test")
model = build("conv-small", digits.input_shape, seed=0)
_ = train(model, digits.inputs, digits.labels, epochs=15)
net = tp.trace(model, digits.inputs)

shares, digits_left, formats = {}, {}, {}
for method in ("paper", "calibrated", "minimal"):
    terms = tp.extract(net, digits, method)
    shares[method] = tp.agreement(net, tp.ExtractedFunction(terms), test.inputs).network_extracted
    digits_left[method] = terms.certificate.digits
    formats[method] = terms.certificate.precision

# %%
# Where float32 leaves too few digits, the extraction goes to float64 by itself. The paper's decomposition adds so much that it
# has to.
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
left.bar(list(shares), [100 * share for share in shares.values()], color="#0072b2")
left.set(ylabel="N^(X) agrees with N (% of test images)", ylim=(0, 100))
names = [f"{method}\nin {formats[method]}" for method in digits_left]
right.bar(names, list(digits_left.values()), color="#e69f00")
right.set(ylabel="decimal digits left of N^(X)")
plt.show()
