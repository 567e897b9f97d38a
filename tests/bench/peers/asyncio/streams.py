"""The same herd as it is written from the documentation of asyncio: streams, a coroutine per connection, a read per line, a
write and a drain per answer, and `open_connection` for every message to a neighbour.
"""

import asyncio
from time import time_ns

from logic import AT, IAMAT, LINE_MAX, LINE_SHOWN, LINK_S, WHATSAT, log


class Link:
    """The way to a neighbour: a connection per message, made when there is one."""

    def __init__(self, name, address):
        self.name = name
        self.address = address
        self.up = None
        self.messages = set()  # the tasks, which would otherwise be anybody's garbage

    def send(self, _, line):
        message = asyncio.create_task(self.deliver(line + b"\n"))
        self.messages.add(message)
        message.add_done_callback(self.messages.discard)

    async def deliver(self, message):
        try:
            async with asyncio.timeout(LINK_S):
                _, writer = await asyncio.open_connection(*self.address)
                writer.write(message)
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except OSError as error:  # a timeout is one too
            # What a neighbour misses while it is away it misses; the next message tries it again.
            self.note(False, error)
        else:
            self.note(True)

    def note(self, up, error=None):
        if up is not self.up:
            self.up = up
            log(f"link to {self.name.decode()} {'up' if up else f'down: {error!r}'}")


async def session(node, reader, writer):
    """A connection of a client, or of a neighbour with a message."""
    try:
        while line := await next_line(reader):
            if len(line) > LINE_MAX + 1:  # one for a carriage return
                writer.write(b"? %b\n" % line[:LINE_SHOWN])
                writer.write_eof()
                # What is still unread would make the kernel reset the connection before the answer is there.
                async with asyncio.timeout(1):
                    while await reader.read(1 << 16):
                        pass
                break
            if reply := await decide(node, line.removesuffix(b"\n").removesuffix(b"\r")):
                writer.write(reply)
                await writer.drain()
    except OSError:
        pass  # the client has gone
    finally:
        writer.close()


async def next_line(reader):
    """As `readline`, but of a line that is too long it gives the beginning and does not throw it away."""
    try:
        return await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError as rest:
        # The carriage return stands for the line end, so that one of the client's own is copied.
        return rest.partial and rest.partial + b"\r"
    except asyncio.LimitOverrunError:
        return await reader.readexactly(LINE_MAX + 2)


async def decide(node, line):
    now = time_ns()
    if found := IAMAT(line):
        return node.iamat(found, now)
    if found := AT(line):
        return node.at(found, line)
    if (found := WHATSAT(line)) and (reply := node.whatsat(found)):
        return await reply
    return b"? %b\n" % line if line and not line.isspace() else None


async def serve(node, port, backlog):
    # The limit is what may be buffered without a newline; the line itself may have a carriage return.
    return await asyncio.start_server(
        lambda reader, writer: session(node, reader, writer), "127.0.0.1", port, limit=LINE_MAX + 2, backlog=backlog
    )
