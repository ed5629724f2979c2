"""
How many regions could there be?
================================

Published bounds on the number of linear regions, and the true number on a square that contains nearly all of them.
"""

import matplotlib.pyplot as plt
import torch

import tropica as tp

widths = (4, 6, 8, 10, 12, 16)
counts, serra, montufar = [], [], []
for n in widths:
    torch.manual_seed(n)
    layers = [torch.nn.Linear(2, n), torch.nn.ReLU(), torch.nn.Linear(n, n), torch.nn.ReLU(), torch.nn.Linear(n, 1)]
    net = tp.trace(torch.nn.Sequential(*layers).double().eval(), torch.zeros(2, 2).double())
    counts.append(int(tp.count_cells(net, tp.Box(-50, 50, d=2))))
    serra.append(tp.bounds.serra2018(net))
    montufar.append(tp.bounds.montufar2017(net))

# %%
fig, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
ax.semilogy(widths, montufar, "^-", color="#999999", label="upper bound, Montúfar 2017")
ax.semilogy(widths, serra, "s-", color="#e69f00", label="upper bound, Serra et al. 2018")
ax.semilogy(widths, counts, "o-", color="#0072b2", label="cells of a random network, exact")
ax.set(xlabel="width of both hidden layers", ylabel="linear regions")
ax.legend()
plt.show()
