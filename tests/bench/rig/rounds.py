"""Rounds: everybody is measured once in each, in turn, so that a machine whose speed drifts drifts for all of them."""
import dataclasses, statistics

from . import Failed, load


@dataclasses.dataclass
class Spread:
    """What several rounds gave: the median, the smallest and the largest."""
    median: float
    least: float
    most: float

    def text(self, digits=2):
        return f"{self.median:.{digits}f} ({self.least:.{digits}f} to {self.most:.{digits}f})"


def of(loaded, field):
    """One field of what several rounds gave."""
    return [getattr(one, field) for one in loaded]


def spread(values):
    values = list(values)
    return Spread(statistics.median(values), min(values), max(values))


def ratio(ours, theirs):
    """Of what was measured in the same round, one by the other."""
    return spread(a / b for a, b in zip(ours, theirs))


def closed_loop(contenders, scenarios, rounds, seconds, told=lambda _: None):
    """By scenario and name, a `Loaded` per round."""
    results = {scenario: {contender.name: [] for contender in contenders} for scenario in scenarios}
    for number in range(rounds):
        for contender in contenders:
            with contender:
                for scenario in scenarios:
                    if loaded := contender.closed_loop(scenario, seconds):
                        results[scenario][contender.name].append(loaded)
        told(f"round {number + 1} of {rounds}")
    return results


def equal_rate(contenders, rate, rounds, seconds):
    """Open loop at one rate for all: by name, a `Loaded` per round. A round with somebody who did not keep up does not count."""
    results = {contender.name: [] for contender in contenders}
    behind = []
    for _ in range(rounds):
        loaded = {}
        for contender in contenders:
            with contender:
                loaded[contender.name] = contender.measure(["--connections", "64", "--rate", f"{rate:.0f}"], seconds)
        late = [f"{name} took {one.rate:.0f} a second" for name, one in loaded.items() if one.rate < load.KEEPS_UP * rate]
        behind += late
        if not late:
            for name, one in loaded.items():
                results[name].append(one)
    if not all(results.values()):
        raise Failed(f"of {rate:.0f} a second {', '.join(behind)}")
    return results


def two_nodes(contenders, rounds, seconds):
    """Closed loop, and open loop at 60 % of the smaller rate; one processor for all processes of each side. Gives the first by
    name, the offered rate, and the second by name or why there is none."""
    full = closed_loop(contenders, [load.ONE_BY_ONE], rounds, seconds)[load.ONE_BY_ONE]
    rate = 0.6 * min(statistics.median(one.rate for one in loaded) for loaded in full.values())
    try:
        return full, rate, equal_rate(contenders, rate, rounds, seconds)
    except Failed as failed:
        return full, rate, failed
