"""Reports ever new clients over several nodes until its standard input ends, and prints what was acknowledged.

    python examples/load.py CLIENTS_PREFIX NODE...

Prints `ack NUMBER UNIX_NS` for each report and `failed REASON` for each call that failed.
"""

import asyncio
import itertools
import sys

from herd_client import AsyncHerd, HerdError, Report

TASKS = 16
PAUSE_S = 0.004


async def main(prefix: str, nodes: list[str]) -> None:
    numbers, ending = itertools.count(), asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, ending.set)

    async def report(herd: AsyncHerd) -> None:
        while not ending.is_set():
            number = next(numbers)
            try:
                at = await herd.report(Report(f"{prefix}-{number}", 34.06893, -118.445127))
                print(f"ack {number} {at.unix_ns}", flush=True)
                await herd.whats_at(f"{prefix}-{number}")
            except HerdError as error:
                print(f"failed {error}", flush=True)
            await asyncio.sleep(PAUSE_S)

    async with AsyncHerd(nodes) as herd:
        await asyncio.gather(*(report(herd) for _ in range(TASKS)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
