"""Settings of all tests and doctests."""

import os
import resource
import signal

import hypothesis
import pytest
import torch

# Small tensors: on two cores, threads that wait for each other cost more than they bring. TEST_THREADS sets another number.
torch.set_num_threads(int(os.environ.get("TEST_THREADS", "1")))

# A shell that runs the tests in the background has them ignore Ctrl-C, and their child processes with them.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# `--hypothesis-profile=full` runs four times the examples (tests/sizes.py).
UNHURRIED = [hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.filter_too_much]
PROFILE = hypothesis.settings(deadline=None, print_blob=True, suppress_health_check=UNHURRIED)
hypothesis.settings.register_profile("quick", PROFILE, max_examples=25)
hypothesis.settings.register_profile("full", PROFILE, max_examples=100)
hypothesis.settings.load_profile("quick")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the processor time of the run: this process, its workers, and the commands that tests start."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    seconds = sum(one.ru_utime + one.ru_stime for one in used)
    terminalreporter.write_line(f"processor time: {seconds:.0f} s ({seconds / 60:.1f} minutes)")
