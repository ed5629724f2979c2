"""A torch module as a graph of affine ops and nonlinearities."""
