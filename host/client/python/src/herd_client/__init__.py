"""Client library of a herd: reports, queries and subscriptions over the line protocol, with fail-over between nodes.

`AsyncHerd` is for asyncio, `Herd` blocks and may be used by any number of threads. Both know several nodes and use one of them. Calls share
one connection to it and are pipelined. When the node is lost, the calls that it had not answered are made again at the next one; that is
safe, because a report that arrives twice counts once.
"""

from ._aio import AsyncHerd, AsyncWatch
from ._blocking import Herd, Watch
from ._errors import (
    CallTimeout,
    Failed,
    HerdError,
    Interrupted,
    InvalidArgument,
    NodeError,
    NoSubscriptions,
    NotConfirmed,
)
from ._options import Options
from ._types import Answer, At, Report

__all__ = [
    "Answer",
    "AsyncHerd",
    "AsyncWatch",
    "At",
    "CallTimeout",
    "Failed",
    "Herd",
    "HerdError",
    "Interrupted",
    "InvalidArgument",
    "NoSubscriptions",
    "NodeError",
    "NotConfirmed",
    "Options",
    "Report",
    "Watch",
]
