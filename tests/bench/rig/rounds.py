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
                    if loaded := contender.measure(scenario, seconds):
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
                loaded[contender.name] = contender.load(["--connections", "64", "--rate", f"{rate:.0f}"], seconds)
        late = [f"{name} took {one.rate:.0f} a second" for name, one in loaded.items() if one.rate < load.KEEPS_UP * rate]
        behind += late
        if not late:
            for name, one in loaded.items():
                results[name].append(one)
    if not all(results.values()):
        raise Failed(f"of {rate:.0f} a second {', '.join(behind)}")
    return results


@dataclasses.dataclass
class TwoNodes:
    """A herd of two against the balancer model, a value per round: capacity, processor time per report in microseconds in closed
    loop and at the equal rate, and the 99th percentile of times at that rate."""
    capacity: dict
    full_us: dict
    rate: float
    rate_us: dict
    p99_us: dict


def two_nodes(contenders, rounds, seconds):
    """Closed loop, and open loop at 60 % of the smaller capacity; the same processor for all processes of each side."""
    names = [contender.name for contender in contenders]
    found = TwoNodes(*({name: [] for name in names} for _ in range(2)), 0, *({name: [] for name in names} for _ in range(2)))
    for _ in range(rounds):
        for contender in contenders:
            with contender:
                loaded, each_us = contender.processor_us(load.SCENARIOS[load.ONE_BY_ONE], seconds)
                found.capacity[contender.name].append(loaded.rate)
                found.full_us[contender.name].append(each_us)
    found.rate = 0.6 * min(statistics.median(rates) for rates in found.capacity.values())
    for _ in range(rounds):
        for contender in contenders:
            with contender:
                loaded, each_us = contender.processor_us(["--connections", "64", "--rate", f"{found.rate:.0f}"], seconds)
                if loaded.rate < load.KEEPS_UP * found.rate:
                    raise Failed(f"of {found.rate:.0f} a second {contender.name} took {loaded.rate:.0f}")
                found.rate_us[contender.name].append(each_us)
                found.p99_us[contender.name].append(loaded.p99_us)
    return found
