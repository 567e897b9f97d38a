# One worker on one port, for tests/bench/duel, which puts the port and logic.js beside a copy of this.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "main", worker = .main)],
  sockets = [(name = "http", address = "127.0.0.1:PORT", http = (), service = "main")],
);

const main :Workerd.Worker = (
  modules = [(name = "logic.js", esModule = embed "logic.js")],
  compatibilityDate = "2026-01-01",
);
