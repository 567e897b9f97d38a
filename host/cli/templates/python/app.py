"""Protocol logic of {{name}}.

- `HELLO <name>` replies `hello, <name>` and keeps which node said it last.
- `SEEN <name>` replies with that node.

Any other line is copied back behind a question mark. Add a command in `App.line`.
"""

from herd_sdk import Guest, export


class App(Guest):
    """The logic, configured for one node. Nothing that it remembers from an earlier call may change what it decides."""

    name, version, commands = "{{name}}", "0.1.0", ["HELLO", "SEEN"]

    def line(self, line, context):
        match line.split():
            case []:
                pass
            case [b"HELLO", name]:
                self.hello(name, line, context)
            case [b"SEEN", name] if found := context.record(name):
                context.reply(name + b" was greeted at " + found.bytes + b"\n")
            case _:
                context.reply(b"? " + line + b"\n")

    def hello(self, name, line, context):
        # The highest rank wins at every node, compared as bytes: the latest greeting, and of equal times that of one node.
        rank = f"{context.now_ns:020}{self.node}".encode()[:64]
        keep = context.keep(name, rank, self.node.encode())
        context.reply_if_kept(keep, b"hello, " + name + b"\n", b"? " + line + b"\n")


Logic = export(App)
