"""Load: `herd bench` for whatever speaks the line protocol, redis-benchmark for redis."""
import dataclasses, json, subprocess

from . import PORT, ROOT, Failed
from .process import LOAD_ON

ONE_BY_ONE = "request/response, 64 sessions"
PIPELINED = "pipelined 32 deep, 64 sessions"
ANEW = "a connection per request"
SCENARIOS = {
    ONE_BY_ONE: ["--connections", "64"],
    PIPELINED: ["--connections", "64", "--pipeline", "32"],
    ANEW: ["--connections", "16", "--connection-per-command"],
}
# Of the offered rate. What takes less of it does not keep up, and its times say nothing.
KEEPS_UP = 0.97
OPEN_BEGINS_S = 0.05


@dataclasses.dataclass
class Loaded:
    """What a load found: answers in all and a second, the 99th percentile of their times, and what the server's processes took of
    their processor for each answer, where that was looked at. Times are in microseconds."""
    answers: int
    rate: float
    p99_us: float
    each_us: float | None = None

    @property
    def per_core(self):
        """Answers for a second of processor time: what the server does when nothing else is on its processor and the load is not
        the limit, which on two processors it is for the fastest."""
        return 1e6 / self.each_us

    @property
    def busy(self):
        """How much of a processor the server took. Well below 1 the load was the limit, or other work on the machine."""
        return self.rate / self.per_core


def bench(name, ports, arguments, seconds, warm_up=0.5):
    command = [ROOT / "target/release/herd", "bench", "--json", "--warm-up", warm_up, "--duration", seconds, *arguments]
    for port in ports:
        command += ["--address", f"127.0.0.1:{port}"]
    done = subprocess.run(["taskset", "-c", LOAD_ON, *map(str, command)], capture_output=True, text=True, timeout=seconds + 60)
    report = json.loads(done.stdout) if done.stdout else None
    if report is None or report["wrong"] or report["broken"] or not report["answers"]:
        raise Failed(f"{name}: the load failed: {done.stdout}{done.stderr}")
    # In open loop the first command is due a little later, when connections are there.
    begun = OPEN_BEGINS_S if "--rate" in arguments and warm_up < OPEN_BEGINS_S else 0
    return Loaded(report["answers"], report["answers"] / (seconds - begun), report["times_us"]["p99"])


def redis_benchmark(arguments, seconds, processor_s):
    """`processor_s` says what redis has taken of its processor so far."""
    pipeline = arguments[arguments.index("--pipeline") + 1] if "--pipeline" in arguments else "1"
    # It counts requests, not seconds: a short run says how many make the time.
    count, command = 20_000, ["GEOADD", "clients", "-118.445127", "34.068930", "bench-__rand_int__"]
    for _ in range(2):
        before = processor_s()
        run = ["redis-benchmark", "-p", str(PORT), "-c", "64", "-P", pipeline, "-n", str(count), "-r", "100000", "--csv"]
        done = subprocess.run(["taskset", "-c", LOAD_ON, *run, *command], capture_output=True, text=True, timeout=seconds + 60)
        fields = [field.strip('"') for field in done.stdout.strip().split("\n")[-1].split('","')]
        if len(fields) < 7:
            raise Failed(f"redis-benchmark failed: {done.stdout}{done.stderr}")
        rate, each_us = float(fields[1]), (processor_s() - before) / count * 1e6
        count = max(int(rate * seconds), 20_000)
    return Loaded(count, rate, float(fields[6]) * 1000, each_us)
