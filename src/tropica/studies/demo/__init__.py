"""The demo: Table 2 and Figure 2 of the TropEx paper on a small scale."""
