"""How the benchmarks time two sides in one process without the one paying for the other's threads."""

import statistics
import time
from collections.abc import Callable

Call = Callable[[], object]

#: Seconds a timed stretch takes at the least; shorter calls are repeated within it.
STRETCH = 0.002
#: Seconds of calls that are not timed, before those that are.
WARM = 0.02
#: Seconds in which a process at rest works less than a tenth; several ticks of the clock that counts its work.
REST = 0.02


def settle() -> None:
    """Wait until this process does nothing.

    Worker threads (libgomp's, ONNX Runtime's, XLA's) spin for a while after a call in case of another: on few cores
    they would slow whoever comes next. To forbid spinning would slow their own side.
    """
    end = time.monotonic() + 2
    while time.monotonic() < end:
        used = time.process_time()
        time.sleep(REST)
        if time.process_time() - used < 0.1 * REST:
            return
    raise RuntimeError("a timed call needs a process at rest, got threads that spun for two seconds")


def seconds(call: Call, repeats: int = 1) -> float:
    """Of one call, the mean of some in a row."""
    begin = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - begin) / repeats


def warm_seconds(call: Call) -> float:
    """Of one call just after others of its side, whose own workers are then awake, and no one else's."""
    settle()
    # The first calls wake the workers, each of which may take a tick of the scheduler: they say nothing of the rest.
    begin, fastest, made = time.perf_counter(), float("inf"), 0
    while made < 3 or time.perf_counter() - begin < WARM:
        fastest = min(fastest, seconds(call))
        made += 1
    return seconds(call, max(1, round(STRETCH / fastest)))


def rested_seconds(call: Call) -> float:
    """Of one long call, which warms itself."""
    settle()
    return seconds(call)


def processor_seconds(call: Call) -> float:
    """Seconds that a processor works on one long call of one thread: what else the machine does is not among them."""
    settle()
    begin = time.process_time()
    call()
    return time.process_time() - begin


def paired(
    ours: Call, theirs: Call, rounds: int, measure: Callable[[Call], float] = warm_seconds
) -> tuple[list[float], list[float]]:
    """Seconds of both sides in turns: what else the machine does falls on neighbors alike."""
    times = [(measure(ours), measure(theirs)) for _ in range(rounds)]
    return [mine for mine, _ in times], [other for _, other in times]


def ratios(ours: list[float], theirs: list[float]) -> list[float]:
    """Theirs over ours, neighbor by neighbor: above 1, ours is faster."""
    return [other / mine for mine, other in zip(ours, theirs, strict=True)]


def ratio(ours: list[float], theirs: list[float]) -> float:
    """The median of the neighbors' ratios."""
    return statistics.median(ratios(ours, theirs))
