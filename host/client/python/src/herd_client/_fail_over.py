"""Fail-over of one call: how long to pause, and when it is enough. Knows no connection."""

from __future__ import annotations

from ._errors import NodeError

_PAUSE_MIN_S = 0.025
_PAUSE_MAX_S = 1.0


class FailOver:
    """Course of a call through the nodes."""

    def __init__(self, nodes: int, attempts_max: int) -> None:
        self._nodes = nodes
        self._attempts_max = attempts_max
        self._failures = 0
        self.attempts = 0
        self.last: NodeError | None = None

    def count(self) -> bool:
        """Counts an attempt that a node may have failed by. Returns whether there may be another."""
        self.attempts += 1
        return self.attempts < self._attempts_max

    def pause_s(self) -> float:
        """Time to wait before the next attempt: none until every node has had one, and then more with each round."""
        self._failures += 1
        if self._failures % self._nodes:
            return 0.0
        return min(_PAUSE_MIN_S * 2.0 ** min(self._failures // self._nodes - 1, 16), _PAUSE_MAX_S)
