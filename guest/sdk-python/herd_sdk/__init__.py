"""SDK for protocol logic in Python.

A guest is a subclass of `Guest`. The last line of its module exports it:

    from herd_sdk import Guest, export

    class Hello(Guest):
        name, version, commands = "hello", "1", ["HELLO"]

        def line(self, line, context):
            context.reply(b"hello " + line + b"\\n")

    Logic = export(Hello)

`python -m herd_sdk.build app guest.wasm` builds the module `app` into a component. Everything from a wire is `bytes`. Time,
randomness and records come from the context; nothing that a guest remembers from an earlier call may change what it decides.
"""

from .context import Context, Found
from .event import BadSetting, Failed, Input, Mark, Report, Response
from .guest import CLOSED, Guest
from .export import export

__all__ = ["CLOSED", "BadSetting", "Context", "Failed", "Found", "Guest", "Input", "Mark", "Report", "Response", "export"]
