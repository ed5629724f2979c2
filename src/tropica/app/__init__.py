"""The explorer: what a network really computes, in the browser. It stands on the public names of the library alone."""
