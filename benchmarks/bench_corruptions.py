"""Time the corruptions beside the published style and their nearest peers, in one process and one run.

    python benchmarks/bench_corruptions.py            # the tables
    python benchmarks/bench_corruptions.py --quick    # a tenth of the repetitions

The peers are corruption_peers.py's. Most change their input, so each call gets a copy, made outside the timed region:
ours makes its own inside. Blocks of calls of all sides alternate, so that a busy machine disturbs all alike; the table
gives medians, with minima in brackets, which are nearer to what an idle machine shows, and how many times faster ours
are than the published style and than the fastest of all peers. The second table says what a second thread gains on a
batch, beside what the machine allows: two processes, which share memory and caches alone, with half the batch each.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from corruption_peers import Call, peers

from genesis_core.corruptions import warm
from genesis_core.corruptions.recipe import Recipe

SIZES = {"64x64x32": (32, 64, 64), "96^3": (96, 96, 96), "160^3": (160, 160, 160)}
LABELS = {
    "local_shuffle": "local shuffling, 10,000 windows",
    "nonlinear": "non-linear intensity",
    "inner_cutout": "inner cut-out",
    "outer_cutout": "outer cut-out",
    "chain": "whole chain, published probabilities: means",
}
GENESIS = Recipe.genesis()
# Calls of one side before it is the other's turn.
BLOCK = 10
# Peers with a column of their own.
COLUMNS = ("published style", "MONAI")


def timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - start)


def compare(
    shape: tuple[int, ...], kind: str, others: dict[str, Call], rounds: int, peer_rounds: int
) -> tuple[list[float], dict[str, list[float]]]:
    """Milliseconds of ours (seed after seed: draw and apply) and of each peer, alternating."""
    x = np.random.default_rng(0).random(shape, dtype=np.float32)
    apply = None if kind == "chain" else (kind,)

    def ours(seed: int) -> float:
        return timed(lambda: GENESIS.apply(x, GENESIS.draw(shape, seed, apply)))

    def theirs(call: Call) -> float:
        copy = x.copy()
        return timed(lambda: call(copy))

    ours(0)
    for call in others.values():
        theirs(call)
    mine: list[float] = []
    found: dict[str, list[float]] = {name: [] for name in others}
    # In blocks: right after another side, memory has to be fetched from the system again, which is neither's work.
    for block in range(0, rounds, BLOCK):
        mine += [ours(seed) for seed in range(block, min(block + BLOCK, rounds))]
        for name, call in others.items():
            found[name] += [theirs(call) for _ in range(min(BLOCK, peer_rounds - len(found[name])))]
    return mine, found


def row(kind: str, size: str, shape: tuple[int, ...], others: dict[str, Call], scale: float) -> str:
    """Measure one kind of corruption of one size, and return its row of the table."""
    volume = int(np.prod(shape)) / 131_072
    rounds = max(5, int(scale * 200 / volume**0.5))
    slow = kind in ("local_shuffle", "chain")
    mine, found = compare(shape, kind, others, rounds, max(3, int(rounds * (0.3 if slow else 1.0))))
    # The chain's calls differ by what is drawn, so that their median says little.
    typical = np.mean if kind == "chain" else np.median
    own = float(typical(mine))
    least = chain_minima(shape, rounds, 3) if kind == "chain" else min(mine)
    centres = {name: float(typical(times)) for name, times in found.items()}
    spread = {name: "" if kind == "chain" else f" ({min(times):.2f})" for name, times in found.items()}
    more = [f"{name} {centre:.2f}{spread[name]}" for name, centre in centres.items() if name not in COLUMNS]
    cells = [LABELS[kind], size, *(f"{centres[name]:.2f}{spread[name]}" for name in COLUMNS), ", ".join(more)]
    ratios = [centres[COLUMNS[0]] / own, min(centres.values()) / own]
    cells += [f"{own:.3f} ({least:.3f})", *(f"{ratio:.{0 if ratio >= 10 else 1}f}x" for ratio in ratios)]
    return "| " + " | ".join(cells) + " |"


def chain_minima(shape: tuple[int, ...], seeds: int, repeats: int) -> float:
    """The mean over seeds of each seed's fastest repetition: the chain without the neighbours' disturbance."""
    x = np.random.default_rng(0).random(shape, dtype=np.float32)
    best = np.full(seeds, np.inf)
    for _ in range(repeats):
        for seed in range(seeds):
            best[seed] = min(best[seed], timed(lambda seed=seed: GENESIS(x, seed)))
    return float(best.mean())


def half_a_batch(shape: tuple[int, ...], indices: Sequence[int], rounds: int, barrier: Any, said: Any) -> None:
    """Corrupt part of a batch in this process whenever all are ready, and send how many milliseconds each call took."""
    corrupt = batch_call(shape, indices)
    corrupt(1)
    for _ in range(rounds):
        barrier.wait()
        said.send(timed(lambda: corrupt(1)))


def batch_call(shape: tuple[int, ...], indices: Sequence[int]) -> Callable[[int], object]:
    """Return what corrupts a batch, one seed for each of `indices`, on a number of threads.

    Memory that was freed is kept, as in every training: clearing new pages is the system's work, and does not scale.
    """
    from genesis_core.training.hardware import keep_freed_memory

    keep_freed_memory()
    x = np.random.default_rng(0).random((len(indices), 1, *shape), dtype=np.float32)
    return lambda threads: GENESIS(x, list(indices), threads=threads)


def scaling(shape: tuple[int, ...], batch: int, rounds: int) -> tuple[float, float, float, float]:
    """Fastest milliseconds of a batch on one and on two threads and in two processes, and a median ratio.

    The ratio is that of neighbouring calls on one and two threads. Of two processes with half the batch each, the
    slower one counts; while one side works the other waits.
    """
    corrupt = batch_call(shape, range(batch))
    spawn = multiprocessing.get_context("spawn")
    # A process that died must not be waited for.
    barrier = spawn.Barrier(3, timeout=120)
    pipes = [spawn.Pipe(duplex=False) for _ in range(2)]
    halves = [
        spawn.Process(target=half_a_batch, args=(shape, range(first, batch, 2), rounds, barrier, said), daemon=True)
        for first, (_, said) in enumerate(pipes)
    ]
    for half in halves:
        half.start()
    corrupt(2)
    one, two, apart = [], [], []
    for _ in range(rounds):
        one.append(timed(lambda: corrupt(1)))
        two.append(timed(lambda: corrupt(2)))
        barrier.wait()
        apart.append(max(heard.recv() for heard, _ in pipes))
    for half in halves:
        half.join()
    ratios = np.array(one) / np.array(two)
    return min(one), min(two), min(apart), float(np.median(ratios))


def cold_start() -> tuple[float, float]:
    """Seconds to compile all kernels, and to load them from the cache, each in a fresh process."""
    code = "from genesis_core.corruptions import warm; print(warm())"
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
        runs = [
            float(subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True).stdout)
            for _ in range(3)
        ]
    return runs[0], min(runs[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the repetitions")
    scale = 0.1 if parser.parse_args().quick else 1.0
    warm()
    print(f"load average before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    print(
        "| one thread, float32, ms: median (minimum) | size | published style | MONAI's nearest | others' nearest "
        "| ours | against published | against the fastest |\n|---|---|---|---|---|---|---|---|"
    )
    for size, shape in SIZES.items():
        for kind, others in peers(shape).items():
            print(row(kind, size, shape, others, scale), flush=True)
    print(
        "\n| one call on a batch | 1 thread, ms | 2 threads, ms | ratio of minima | median ratio "
        "| 2 processes, half the batch each: ratio |\n|---|---|---|---|---|---|"
    )
    for (size, shape), batch in zip(SIZES.items(), (64, 16, 8), strict=True):
        one, two, apart, ratio = scaling(shape, batch, max(3, int(scale * 20)))
        print(
            f"| {batch} x {size} | {one:.1f} | {two:.1f} | {one / two:.2f} | {ratio:.2f} | {one / apart:.2f} |",
            flush=True,
        )
    compiled, loaded = cold_start()
    print(f"\nFirst start ever (compiling): {compiled:.1f} s; later starts (from the cache): {loaded:.2f} s")
    print(f"load average after: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
