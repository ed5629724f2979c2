"""Settings of all tests and doctests."""

import signal

import hypothesis
import torch

# Small tensors: on two cores, threads that wait for each other cost more than they bring.
torch.set_num_threads(1)

# A shell that runs the tests in the background has them ignore Ctrl-C, and their child processes with them.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

hypothesis.settings.register_profile("tropica", deadline=None, print_blob=True)
hypothesis.settings.load_profile("tropica")
