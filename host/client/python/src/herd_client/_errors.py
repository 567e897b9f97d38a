"""Errors: of an argument, of one node, and of a call after all its attempts."""

from __future__ import annotations


class HerdError(Exception):
    """A call failed. Base of all errors of this package."""


class InvalidArgument(HerdError, ValueError):
    """An argument that the protocol has no place for. Nothing was sent."""


class NodeError(HerdError):
    """Failure of one node; the connection to it is closed. `last` of other errors has one."""

    def __init__(self, node: str, reason: str) -> None:
        super().__init__(f"{node}: {reason}")
        self.node = node
        self.reason = reason


class CallTimeout(HerdError, TimeoutError):
    """No node answered within the time of a call. A report may have been kept; the same report again is safe."""

    def __init__(self, waited_s: float, last: NodeError | None) -> None:
        super().__init__(f"no answer within {waited_s:g} s of any node" + (f", last {last}" if last else ""))
        self.waited_s = waited_s
        self.last = last


class Failed(HerdError):
    """Nodes failed while they decided this very call, so often that another attempt might harm another one."""

    def __init__(self, attempts: int, last: NodeError) -> None:
        super().__init__(f"{attempts} attempts failed, last at {last}")
        self.attempts = attempts
        self.last = last


class Interrupted(HerdError):
    """The connection was lost after the request was sent, and the caller wants no second attempt. It was perhaps performed."""

    def __init__(self, last: NodeError) -> None:
        super().__init__(f"perhaps performed: {last}")
        self.last = last


class NotConfirmed(HerdError):
    """No node confirmed the report: it has no room for a new client, cannot write to its disk, misses the neighbours that it needs, or does
    not permit reports under this name. The report is perhaps kept. The same report again is safe."""

    def __init__(self, client: str, attempts: int) -> None:
        super().__init__(
            f"the report of {client} was not confirmed in {attempts} attempts; may it report under this name, and are disks and links well?"
        )
        self.client = client
        self.attempts = attempts


class NoSubscriptions(HerdError):
    """The logic of the nodes has no subscriptions."""

    def __init__(self) -> None:
        super().__init__("no node knows WATCH; it takes logic such as guest/examples/watch")
