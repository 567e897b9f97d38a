"""How long a report takes until every node of a herd shows it.

The nodes run the example guest `watch`. A session at each of them watches one client, a report of that client goes to one node
after the other, and its time ends when the session at the last node has been told: so the client's own connection and those of
the watchers are part of it, and nothing is polled.
"""
import contextlib, os, select, socket, time

from . import Failed
from .process import LOAD_ON


def times_ms(ports, seconds, pause_s=0.005):
    """A time per report, sorted."""
    with contextlib.ExitStack() as stack:
        before = os.sched_getaffinity(0)
        stack.callback(os.sched_setaffinity, 0, before)
        os.sched_setaffinity(0, {int(LOAD_ON)})
        reporters, watchers = ([stack.enter_context(connected(port)) for port in ports] for _ in range(2))
        poll, by_file = select.poll(), {}
        for watcher in watchers:
            watcher.sendall(b"WATCH probe\n")
            if watcher.recv(64) != b"OK\n":
                raise Failed("a node does not know WATCH")
            poll.register(watcher, select.POLLIN)
            by_file[watcher.fileno()] = watcher
        times, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            reporter, now = reporters[len(times) % len(reporters)], time.time_ns()
            stamp = b"%d.%09d\n" % divmod(now, 10**9)
            began = time.perf_counter()
            reporter.sendall(b"IAMAT probe +34.068930-118.445127 " + stamp)
            waiting = set(by_file)
            while waiting:
                ready = poll.poll(5000)
                if not ready:
                    raise Failed(f"{len(waiting)} of {len(ports)} nodes were not told of a report")
                for file, _ in ready:
                    # Reports of this client come one at a time, so what comes is the line, whole.
                    if by_file[file].recv(4096).endswith(stamp):
                        waiting.discard(file)
            times.append((time.perf_counter() - began) * 1e3)
            reporter.recv(4096)
            time.sleep(pause_s)
        return sorted(times)


def connected(port):
    connection = socket.create_connection(("127.0.0.1", port), 5)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection
