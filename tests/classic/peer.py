#!/usr/bin/env python3
"""A node of an older herd: IAMAT, WHATSAT and floods of AT lines, each on a connection of its own, on one port.

    tests/classic/peer.py Clark 127.0.0.9:12345 --neighbours 127.0.0.1:14415,127.0.0.9:12346

Written as such programs are: clients and neighbours use the same port; records are kept in memory; a line goes on to all neighbours if its
time is later than what is known; a neighbour that is away is told nothing, and what it missed is lost. Times are floats. Prints `ready` once
it listens. Beyond an older program, it connects from the address that it listens on, so that several can have addresses of their own on one
machine, and answers COUNTS with the number of AT lines that it received and sent. Needs nothing but Python.
"""

import argparse
import asyncio
import time

TIMEOUT_S = 5


def address(text):
    host, _, port = text.rpartition(":")
    return host, int(port)


class Node:
    def __init__(self, name, own, neighbours):
        self.name, self.own, self.neighbours = name, own, neighbours
        self.known = {}  # client -> (time, AT line)
        self.received = self.sent = 0
        self.floods = set()

    async def serve(self):
        server = await asyncio.start_server(self.connection, *self.own)
        print("ready", flush=True)
        async with server:
            await server.serve_forever()

    async def connection(self, reader, writer):
        try:
            while line := await reader.readline():
                reply = self.reply(line.decode())
                if reply is not None:
                    writer.write(reply.encode())
                    await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    def reply(self, line):
        match line.split():
            case ["IAMAT", client, location, sent]:
                at = f"AT {self.name} {time.time() - float(sent):+.9f} {client} {location} {sent}"
                self.learn(client, sent, at)
                return at + "\n"
            case ["WHATSAT", client, _, _] if client in self.known:
                return self.known[client][1] + '\n{"results": []}\n\n'
            case ["AT", _, _, client, _, sent]:
                self.received += 1
                self.learn(client, sent, line.strip())
                return None
            case ["COUNTS"]:
                return f"{self.received} {self.sent}\n"
            case _:
                return "? " + line

    def learn(self, client, sent, at):
        if client in self.known and float(sent) <= self.known[client][0]:
            return
        self.known[client] = float(sent), at
        for neighbour in self.neighbours:
            # Kept until it is done: the loop holds tasks weakly.
            task = asyncio.create_task(self.tell(neighbour, at))
            self.floods.add(task)
            task.add_done_callback(self.floods.discard)

    async def tell(self, neighbour, at):
        try:
            opening = asyncio.open_connection(*neighbour, local_addr=(self.own[0], 0))
            _, writer = await asyncio.wait_for(opening, TIMEOUT_S)
            writer.write(at.encode() + b"\n")
            await writer.drain()
            writer.close()
            self.sent += 1
        except (OSError, asyncio.TimeoutError):
            pass


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("own", type=address)
    parser.add_argument("--neighbours", type=lambda text: [address(one) for one in text.split(",")], default=[])
    arguments = parser.parse_args()
    asyncio.run(Node(arguments.name, arguments.own, arguments.neighbours).serve())


if __name__ == "__main__":
    main()
