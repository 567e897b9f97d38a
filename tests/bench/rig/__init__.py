"""What `compare`, `scale` and `tests/show/fast` measure with: servers as processes, load on them, what they take, and figures.

Standard library only; loopback only. Servers run on processor 0 and load on processor 1, unless there is only one. Every
process is started here, bounded in time and stopped by its id, also when a run is broken off.
"""
import os, pathlib

ROOT = pathlib.Path(__file__).resolve().parents[3]
# The first of the ports that are used, below those that the system gives to clients: clients of nodes here and above, links
# 1000 and the admin API 2000 above that. BENCH_PORT names another one, where several people share a machine.
PORT = int(os.environ.get("BENCH_PORT", "29415"))


class Missing(Exception):
    """Something is not installed or not built; the text says how to get it."""


class Failed(Exception):
    """A server or a load did not do what it had to."""
