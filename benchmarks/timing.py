"""Time several ways of doing the same thing, in turns."""

import time


def images_per_second(ways, count, rounds=3):
    """Best rate of each way.

    Args:
        ways: dict name → function that processes ``count`` images.
        count: images a call.
        rounds: how often each way is timed; ways take turns so that a busy moment hits all.

    Returns:
        dict name → images a second.
    """
    for way in ways.values():
        way()  # compiles, fills caches
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            best[name] = min(best[name], time.perf_counter() - start)
    return {name: count / seconds for name, seconds in best.items()}
