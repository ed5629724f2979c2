"""
A network as a tropical rational map
====================================

A small network becomes a difference of two tropical polynomials in exact arithmetic, and goes back to a network.
"""

import torch

import tropica as tp

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1)).eval()
with torch.no_grad():
    for p in model.parameters():
        p.copy_((4 * p).round())

found = tp.to_tropical(model)
found

# %%
# The map is the network, exactly.
x = torch.randn(5, 2)
print(found(x.double()).ravel())
print(model(x).ravel().tolist())

# %%
# And back: a network of the same function.
back = tp.to_network(found)
back
