"""What a node takes: memory at rest, for a session that is idle and for a client that it knows; and how it answers then."""
import contextlib, resource, socket, threading, time

from . import PORT, Failed, Missing, load

MODEST = 2000  # reports a second, at which times are taken at every stage
SPARE_FILES = 500  # that a node and a loader have open besides sessions
PER_ADDRESS = 20_000  # sessions from one source address, which has 28,000 ports
LIMITS = ["sessions.sessions_max=300000", "sessions.sessions_per_address_max=300000", "records.keys_max=50000000",
          "records.mib_max=65536", "runtime.workers=0"]
REPORT = b"IAMAT client-%09d +34.068930-118.445127 1479413884.392014450\n"


def node(contenders):
    """One node with a worker per processor, not held to one, and limits that are out of the way."""
    found = contenders.herd({"Riley": []}, name="scale", settings=LIMITS)
    for server in found.server.servers:
        server.command = server.command[3:]  # without taskset
    return found


def raise_open_files(count):
    """Lets this process, and those that it starts, open so many files."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= most < count:
        raise Missing(f"the limit of open files is {most}, and {count} are wanted: ulimit -Hn {count}, as root")
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, most))


def settled(server):
    """Resident and proportional bytes, once they have stopped to change."""
    before = server.memory()
    for _ in range(20):
        time.sleep(0.25)
        now = server.memory()
        if abs(now[0] - before[0]) <= 0.002 * before[0]:
            break
        before = now
    return now


@contextlib.contextmanager
def idle_sessions(count):
    """So many sessions, each of which has been answered once, from as many source addresses as that takes."""
    sessions = []
    try:
        for number in range(count):
            session = socket.socket()
            sessions.append(session)
            session.settimeout(10)
            session.bind((f"127.0.0.{2 + number // PER_ADDRESS}", 0))
            session.connect(("127.0.0.1", PORT))
            session.sendall(b"hello\n")
        for session in sessions:
            if session.recv(16) != b"? hello\n":
                raise Failed(f"of {count} sessions some are not served")
        yield
    finally:
        for session in sessions:
            session.close()


def report_clients(first, behind):
    """Reports every client of a range once."""
    def send():
        for start in range(first, behind, 4096):
            part = range(start, min(start + 4096, behind))
            connection.sendall(b"".join(REPORT % number for number in part))

    with socket.create_connection(("127.0.0.1", PORT), 30) as connection:
        threading.Thread(target=send, daemon=True).start()
        answers = 0
        while answers < behind - first:
            data = connection.recv(1 << 18)
            if not data:
                raise Failed(f"the node closed after {answers} reports")
            answers += data.count(b"\n")


def records(node):
    """How many keys the node has, and the bytes of keys, ranks and records."""
    [status] = node.status().values()
    return status["records"]["keys"], status["records"]["bytes"]


def p99_us(contender, seconds):
    """At the modest rate, about clients that the node knows."""
    arguments = ["--connections", "16", "--rate", str(MODEST), "--clients", "1000"]
    return load.bench(contender.name, [PORT], arguments, seconds).p99_us
