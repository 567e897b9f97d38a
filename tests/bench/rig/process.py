"""Processes that serve: started on a processor, watched through /proc, stopped by their ids."""
import contextlib, os, pathlib, signal, socket, subprocess, sys, tempfile, threading, time

from . import ROOT, Failed

TICKS = os.sysconf("SC_CLK_TCK")
PROCESSORS = sorted(os.sched_getaffinity(0))
SERVERS_ON, LOAD_ON = str(PROCESSORS[0]), str(PROCESSORS[min(1, len(PROCESSORS) - 1)])


def end_on_signals():
    """Has SIGTERM end the run as ctrl-c does, so that what was started is stopped; ctrl-c also where a shell has it ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to end"))


class Server:
    """A process, and the processes it has started, between `with` and its end.

    It is there once every address takes connections, or once it has printed the line `ready`.
    """

    def __init__(self, name, command, addresses=(), ready=None, processor=SERVERS_ON, environment=None):
        self.name, self.addresses, self.ready = name, addresses, ready
        pin = ["taskset", "-c", processor] if processor is not None else []
        self.command, self.environment = [*pin, *map(str, command)], {**os.environ, **(environment or {})}
        self.process = self.log = None

    def __enter__(self):
        if self.addresses and self.there():
            raise Failed(f"{self.name} cannot start: something else listens on {self.addresses}; BENCH_PORT names another port")
        self.log, self.lines = tempfile.TemporaryFile(), []
        began = time.monotonic()
        # A session of its own: what it starts can be stopped with it, and ctrl-c at a terminal is for us to pass on.
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log, cwd=ROOT,
                                        env=self.environment, start_new_session=True)
        threading.Thread(target=self.read, daemon=True).start()
        try:
            while not self.there():
                if time.monotonic() - began > 30 or self.process.poll() is not None:
                    raise Failed(f"{self.name} does not start: {self.said()}")
                time.sleep(0.001 if self.ready else 0.02)
        except BaseException:
            self.__exit__()
            raise
        self.started_s = time.monotonic() - began
        return self

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line.decode(errors="replace").rstrip())

    def there(self):
        if self.ready:
            return self.ready in self.lines
        try:
            for address in self.addresses:
                socket.create_connection(address, 1).close()
        except OSError:
            return False
        return True

    def __exit__(self, *_):
        # Politely first: a script that has started others stops them. Nothing here has anything to save.
        for number, patience in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(patience)
                break
        self.log.close()

    def said(self):
        self.log.seek(0)
        return (" ".join(self.lines[-3:]) + " " + self.log.read().decode(errors="replace")[-600:]).strip()

    def pids(self):
        """Its own id and those of all that came from it."""
        found, waiting = [], [self.process.pid]
        while waiting:
            found.append(waiting.pop())
            with contextlib.suppress(OSError):
                tasks = pathlib.Path(f"/proc/{found[-1]}/task").iterdir()
                waiting += [int(child) for task in tasks for child in (task / "children").read_text().split()]
        return found

    def processor_s(self):
        """Seconds of processor time, user and system, of all its processes so far."""
        return sum(processor_s(pid) for pid in self.pids())

    def memory(self):
        """Resident and proportional bytes."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().split("\n")
        sizes = {line.split(":")[0]: int(line.split()[1]) << 10 for line in fields[1:] if line}
        return sizes["Rss"], sizes["Pss"]


class Servers:
    """Several as one."""

    def __init__(self, name, servers):
        self.name, self.servers, self.stack = name, servers, contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            for server in self.servers:
                stack.enter_context(server)
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *what):
        self.stack.__exit__(*what)

    def processor_s(self):
        return sum(server.processor_s() for server in self.servers)


def processor_s(pid):
    # The name of a process, in brackets, may hold anything.
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS
