"""Who is measured: how each is started, how it is loaded, and what it takes to have it."""
import json, pathlib, shutil, subprocess, tempfile, time

from . import PORT, ROOT, Failed, Missing, load
from .process import Server, Servers

HERD, TWIN, PEERS = ROOT / "target/release/herd", ROOT / "target/herd-twin", ROOT / "tests/bench/peers"
LINKS = {  # of the default herd, which is the one of the published description
    "Riley": ["Jaquez", "Juzang"],
    "Jaquez": [],
    "Juzang": ["Campbell"],
    "Campbell": [],
    "Bernard": ["Jaquez", "Juzang", "Campbell"],
}
# Whom other herds are started as: a node alone, with a places service that is not there.
NOWHERE = ["--node", "Riley", "--port", PORT, "--places", "http://127.0.0.1:9/"]


class Contender:
    """Something that serves reports. `ports` is where; `missing` is how to get what it lacks."""

    def __init__(self, name, server, ports=(PORT,), missing=None):
        self.name, self.server, self.ports, self.missing = name, server, ports, missing

    def __enter__(self):
        if self.missing:
            raise Missing(f"{self.name} is not there: {self.missing}")
        self.server.__enter__()
        return self

    def __exit__(self, *what):
        self.server.__exit__(*what)

    def load(self, arguments, seconds, warm_up=0.5):
        return load.bench(self.name, self.ports, arguments, seconds, warm_up)

    def measure(self, arguments, seconds):
        """The same, and what all its processes took for each answer. Warm-up is apart, so that every answer counts for both."""
        self.load(arguments, 0.5, warm_up=0)
        before = self.server.processor_s()
        loaded = self.load(arguments, seconds, warm_up=0)
        loaded.each_us = (self.server.processor_s() - before) / loaded.answers * 1e6
        return loaded

    def closed_loop(self, scenario, seconds):
        """None if the scenario means nothing to it."""
        return self.measure(load.SCENARIOS[scenario], seconds)


class Herd(Contender):
    """Nodes with links. It is there once all links are up, and what it took counts only if all nodes came to hold the same."""

    def __init__(self, name, server, ports, missing, config):
        super().__init__(name, server, ports, missing)
        self.config = config

    def __enter__(self):
        super().__enter__()
        try:
            self.until("has its links up", lambda nodes: all(up(link) for node in nodes for link in node["links"]))
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def measure(self, arguments, seconds):
        loaded = super().measure(arguments, seconds)
        self.until("agrees", lambda nodes: len({node["records"]["digest"] for node in nodes}) == 1)
        return loaded

    def status(self):
        """What every node says of itself, by name."""
        done = subprocess.run([HERD, "status", "--json", "--config", self.config], capture_output=True, text=True, timeout=120)
        try:
            return json.loads(done.stdout)
        except ValueError as error:
            raise Failed(f"herd status: {done.stdout[-300:]}{done.stderr[-300:]}") from error

    def until(self, what, holds, patience_s=20):
        end = time.monotonic() + patience_s
        while len(self.ports) > 1 and not holds(list(self.status().values())):
            if time.monotonic() > end:
                raise Failed(f"{self.name} never {what}")
            time.sleep(0.05)


class Redis(Contender):
    def closed_loop(self, scenario, seconds):
        # redis-benchmark connects once.
        return None if scenario == load.ANEW else load.redis_benchmark(load.SCENARIOS[scenario], seconds, self.server.processor_s)


class Contenders:
    """All of them by name, with a directory for what they write."""

    def __init__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="herd-bench-")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.directory.cleanup()

    def config(self, nodes, extra=""):
        """A configuration of these nodes, each with those it is linked to."""
        path = pathlib.Path(self.directory.name) / f"herd-{len(nodes)}.toml"
        text = f'herd = "bench"\nstate_dir = "{self.directory.name}/state-{len(nodes)}"\n[runtime]\nworkers = 1\n[records]\ndurability = "memory"\n{extra}'
        for index, (name, links) in enumerate(nodes.items()):
            listed = ", ".join(f'"{link}"' for link in links if link in nodes)
            text += f'[nodes.{name}]\nclient = "127.0.0.1:{PORT + index}"\nlinks = [{listed}]\n'
        path.write_text(text)
        return path

    def herd(self, nodes, name="herd", binary=HERD, settings=(), up=False):
        """A herd of these nodes on one processor: a process each or, as `herd up` has it, one for all."""
        config, ports = self.config(nodes), [PORT + index for index in range(len(nodes))]
        sets = [word for setting in settings for word in ("--set", setting)]
        rest = ["--config", config, "--log", "warn", *sets]
        if up:
            servers = [Server("herd", [binary, "up", *rest], ready="herd ready")]
        else:
            servers = [Server(node, [binary, "run", node, *rest], ready=f"{node} ready") for node in nodes]
        how = "cargo build --release" if binary == HERD else "tests/bench/twin"
        return Herd(name, Servers(name, servers), ports, None if binary.exists() else how, config)

    def one(self, **how):
        return self.herd({"Riley": []}, **how)

    def two(self):
        return self.herd({"Riley": ["Jaquez"], "Jaquez": []}, name="herd of two")

    def five(self, **how):
        """The five-node herd that a user starts first. Five processes on one processor would time how that is shared."""
        return self.herd(LINKS, name="herd of five", up=True, **how)

    def ceiling(self):
        return self.one(name="ceiling", binary=TWIN, settings=["logic.ceiling=true"])

    def twin(self):
        return self.one(name="twin", binary=TWIN)

    def asyncio(self, name, *options):
        python = PEERS / "asyncio/.venv/bin/python"
        command = [python, PEERS / "asyncio/herd.py", *NOWHERE, *options]
        return Contender(name, served(name, command), missing=None if python.exists() else "tests/bench/peers/asyncio/setup")

    def node(self):
        command = ["node", PEERS / "node/herd.js", *NOWHERE]
        return Contender("node", served("node", command), missing=None if shutil.which("node") else "apt-get install nodejs")

    def redis(self):
        there = shutil.which("redis-server") and shutil.which("redis-benchmark")
        keeps = ["--save", "", "--appendonly", "no", "--dir", self.directory.name]
        command = ["redis-server", "--port", PORT, "--bind", "127.0.0.1", *keeps]
        return Redis("redis", served("redis", command), missing=None if there else "apt-get install redis-server")

    def balancer(self):
        lacks = None if (ROOT / "target/release/app-node").exists() else "cargo build --release -p herd-tests --bin app-node"
        for name in ("redis-server", "haproxy"):
            if not shutil.which(name, path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"):
                lacks = f"apt-get install {name}"
        command = [PEERS / "balancer/start", "--node", "Riley", "--port", PORT]
        return Contender("balancer", Server("balancer", command, ready="Riley ready"), missing=lacks)

    def alone(self):
        """Those that are one node, in the order in which they are shown."""
        return [self.one(), self.ceiling(), self.twin(), self.asyncio("streams", "--streams"), self.asyncio("asyncio"),
                self.asyncio("uvloop", "--uvloop"), self.node(), self.redis()]


def up(link):
    return link["state"] != "down"


def served(name, command):
    return Server(name, command, addresses=[("127.0.0.1", PORT)])
