"""A node of the proxy herd in Python's asyncio: one process per node, one port for clients and neighbours.

A client's report is answered, kept if it is later than what is known, and flooded to the neighbours: a plain `AT` line,
a connection of its own per message. A neighbour does the same, so a flood ends where the report is no news. Places come
from the legacy Google Nearby Search through aiohttp.

This is the tuned one, on protocols and transports; with `--streams` it is the one in `streams.py`.
"""

import argparse
import asyncio
import signal
import socket
from collections import OrderedDict, deque
from time import time_ns

import streams
from logic import AT, IAMAT, LINE_MAX, LINE_SHOWN, LINK_S, REPLIES_MAX, WHATSAT, Node, Places, log

LINGER_S = 1  # for the answer to such a line to arrive before what is still unread makes the kernel reset
LINKS_OPEN_MAX = 8  # connections at once to a neighbour; more make turns of the loops longer and floods later
BACKLOG = 4096  # neighbours connect once per message; a full backlog costs them a second


class Session(asyncio.Protocol):
    """A connection of a client, or of a neighbour with a message.

    Lines are decided as they arrive. While an answer waits for places, the later ones queue behind it.
    """

    __slots__ = ("node", "transport", "rest", "replies", "lines", "ended", "choked", "too_long")

    def __init__(self, node):
        self.node = node
        self.transport = None
        self.rest = b""  # of the input, without a newline so far
        self.replies = None  # a deque of replies, and tasks that will give one; the first is a task, or there is none
        self.lines = None  # that came but are not decided, because too many replies wait
        self.ended = False  # the client has half-closed
        self.choked = False  # the client does not read
        self.too_long = False

    def connection_made(self, transport):
        self.transport = transport

    def connection_lost(self, _):
        self.lines = None
        if self.replies:
            for reply in self.replies:
                if isinstance(reply, asyncio.Task):
                    reply.cancel()

    def data_received(self, data):
        if self.too_long:
            return
        now = time_ns()
        if self.rest:
            data = self.rest + data
        lines = data.split(b"\n")
        self.rest = lines.pop()
        if len(self.rest) > LINE_MAX + 1:  # one for a carriage return
            lines.append(self.rest)
        self.decide(lines, now)

    def eof_received(self):
        self.ended = True
        if self.rest and not self.too_long:
            # The carriage return stands for the line end, so that one of the client's own is copied.
            last, self.rest = self.rest + b"\r", b""
            if self.lines:
                self.lines.append(last)
            else:
                self.decide([last], time_ns())
        return bool(self.replies or self.lines)  # whether to stay open

    def decide(self, lines, now):
        node, replies, out = self.node, self.replies, []
        for index, line in enumerate(lines):
            if replies and len(replies) >= REPLIES_MAX:
                self.lines = lines[index:]
                break
            line = line.removesuffix(b"\r")
            if len(line) > LINE_MAX:
                reply = b"? %b\n" % line[:LINE_SHOWN]
                self.too_long = True
            elif found := IAMAT(line):
                reply = node.iamat(found, now)
            elif found := AT(line):
                node.at(found, line)
                continue
            elif (found := WHATSAT(line)) and (reply := node.whatsat(found)):
                reply.add_done_callback(self.flush)
                if replies is None:
                    self.replies = replies = deque()
                replies.append(reply)
                continue
            elif line and not line.isspace():
                reply = b"? %b\n" % line
            else:
                continue
            if replies:
                replies.append(reply)
            else:
                out.append(reply)
            if self.too_long:
                break
        if out:
            self.transport.write(out[0] if len(out) == 1 else b"".join(out))
        if replies or self.choked:
            self.steer()
        elif self.too_long:
            self.hang_up()

    def flush(self, _):
        """Sends what no longer has to wait."""
        if self.transport.is_closing():
            return
        replies, out = self.replies, []
        while replies and (isinstance(replies[0], bytes) or replies[0].done()):
            reply = replies.popleft()
            out.append(reply if isinstance(reply, bytes) else reply.result())
        if out:
            self.transport.write(b"".join(out))
        if self.lines and len(replies) < REPLIES_MAX:
            lines, self.lines = self.lines, None
            self.decide(lines, time_ns())
        self.steer()
        if not replies and not self.lines:
            if self.too_long:
                self.hang_up()
            elif self.ended:
                self.transport.close()

    def steer(self):
        """Reads on, unless the client does not read or waits for enough as it is."""
        if self.ended or self.transport.is_closing():
            return
        if self.choked or self.lines or self.replies and len(self.replies) >= REPLIES_MAX:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def pause_writing(self):
        self.choked = True
        self.steer()

    def resume_writing(self):
        self.choked = False
        self.steer()

    def hang_up(self):
        if self.transport.is_closing():
            return
        if self.ended:
            self.transport.close()
        else:
            self.rest = b""
            self.transport.write_eof()
            asyncio.get_running_loop().call_later(LINGER_S, self.transport.abort)


class Link:
    """The way to a neighbour: a connection per message, a few at once.

    What has to wait waits as the latest line of each client: that bounds it, and nobody hears what is old already.
    """

    def __init__(self, name, address):
        self.name = name
        self.address = address
        self.waiting = OrderedDict()  # client -> its latest line
        self.workers = set()  # the tasks, which would otherwise be anybody's garbage
        self.open = 0
        self.up = None

    def send(self, client, line):
        self.waiting[client] = line
        if self.open < LINKS_OPEN_MAX:
            self.open += 1
            worker = asyncio.get_running_loop().create_task(self.work())
            self.workers.add(worker)
            worker.add_done_callback(self.workers.discard)

    async def work(self):
        while self.waiting:
            _, line = self.waiting.popitem(last=False)
            try:
                await self.deliver(line + b"\n")
            except OSError as error:  # a timeout is one too
                # What a neighbour misses while it is away it misses; the next message tries it again.
                self.note(False, error)
            else:
                self.note(True)
        self.open -= 1

    async def deliver(self, message):
        # Plain sockets, as each of asyncio's streams, protocols and transports would be made for a single write.
        # Waiting for the neighbour to close too costs a turn of the loop, but without it a neighbour that is slower
        # than this node finds thousands of connections in its backlog, and then none but a second later.
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as connection:
            async with asyncio.timeout(LINK_S):
                connection.connect_ex(self.address)
                try:
                    # On one machine a connection is there when connect() returns, though it says it is in progress.
                    sent = connection.send(message)
                except BlockingIOError:
                    sent = 0
                if sent < len(message):
                    await loop.sock_connect(connection, self.address)
                    await loop.sock_sendall(connection, message[sent:])
                connection.shutdown(socket.SHUT_WR)
                await loop.sock_recv(connection, 1)

    def note(self, up, error=None):
        if up is not self.up:
            self.up = up
            log(f"link to {self.name.decode()} {'up' if up else f'down: {error!r}'}")


async def serve(options):
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    link = streams.Link if options.streams else Link
    links = [link(name.encode(), ("127.0.0.1", port)) for name, port in options.peers]
    async with Places(options.places, options.key) as places:
        node = Node(options.node.encode(), links, places)
        if options.streams:
            server = await streams.serve(node, options.port, BACKLOG)
        else:
            server = await loop.create_server(lambda: Session(node), "127.0.0.1", options.port, backlog=BACKLOG)
        log(f"{options.node} listens on 127.0.0.1:{options.port}, {type(loop).__module__}")
        await stop.wait()
        server.close()


def peers(text):
    pairs = (pair.split("=") for pair in text.split(",") if pair)
    return [(name, int(port)) for name, port in pairs]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--node", required=True, metavar="NAME")
    parser.add_argument("--port", required=True, type=int, metavar="N")
    parser.add_argument("--peers", default=[], type=peers, metavar="NAME=PORT,...", help="its neighbours")
    parser.add_argument("--places", default="http://127.0.0.1:18080", metavar="URL", help="base of the places service")
    parser.add_argument("--key", default="none", help="for the places service")
    parser.add_argument("--streams", action="store_true", help="be the one that is written with streams")
    parser.add_argument("--uvloop", action="store_true", help="run on uvloop's event loop")
    options = parser.parse_args()
    if options.uvloop:
        import uvloop

        uvloop.run(serve(options))
    else:
        asyncio.run(serve(options))


main()
