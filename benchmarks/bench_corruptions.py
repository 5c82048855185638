"""Time the corruptions beside their nearest peers in MONAI, in one process and one run.

    python benchmarks/bench_corruptions.py            # the table
    python benchmarks/bench_corruptions.py --quick    # a tenth of the repetitions

MONAI has no Bezier curve and no recipe; its nearest transforms do comparable work: RandCoarseShuffle with as many
windows of the same sizes, RandHistogramShift with 10 control points, RandCoarseDropout with noise outside of (or
inside) boxes of the same sizes, and the three composed with the published probabilities. They change their input, so
each call gets a copy, made outside the timed region. Blocks of calls of both sides alternate, so that a busy machine
disturbs both alike; the table gives medians, with minima in brackets, which are nearer to what an idle machine shows.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from genesis_core.corruptions import warm
from genesis_core.corruptions.recipe import Recipe

SIZES = {"64x64x32": (32, 64, 64), "96^3": (96, 96, 96), "160^3": (160, 160, 160)}
LABELS = {
    "local_shuffle": "local shuffling, 10,000 windows",
    "nonlinear": "non-linear intensity",
    "inner_cutout": "inner cut-out",
    "outer_cutout": "outer cut-out",
}
GENESIS = Recipe.genesis()
# Calls of one side before it is the other's turn.
BLOCK = 10


def peers(shape: tuple[int, ...]) -> dict[str, Any]:
    """MONAI's nearest transforms, for windows and boxes of the published sizes."""
    import torch
    from monai.transforms import Compose, OneOf, RandCoarseDropout, RandCoarseShuffle, RandHistogramShift

    torch.set_num_threads(1)
    one = [1] * 3
    window = [max(1, n // 10) for n in shape]
    low, high = [n // 6 for n in shape], [n // 3 for n in shape]
    kept_low, kept_high = [n - 4 * n // 7 for n in shape], [n - 3 * n // 7 for n in shape]

    def build(shuffle: float, shift: float, cut: float) -> dict[str, Any]:
        return {
            "local_shuffle": RandCoarseShuffle(holes=10_000, spatial_size=one, max_spatial_size=window, prob=shuffle),
            "nonlinear": RandHistogramShift(num_control_points=10, prob=shift),
            "inner_cutout": RandCoarseDropout(
                holes=5, spatial_size=low, max_spatial_size=high, fill_value=(0.0, 1.0), prob=cut
            ),
            "outer_cutout": RandCoarseDropout(
                holes=5,
                spatial_size=kept_low,
                max_spatial_size=kept_high,
                dropout_holes=False,
                fill_value=(0.0, 1.0),
                prob=cut,
            ),
        }

    found = build(1.0, 1.0, 1.0)
    chain = build(0.5, 0.9, 0.9)
    cuts = OneOf([chain["inner_cutout"], chain["outer_cutout"]], weights=[0.2, 0.8])
    found["chain"] = Compose([chain["local_shuffle"], chain["nonlinear"], cuts]).set_random_state(seed=0)
    return found


def timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - start)


def compare(
    shape: tuple[int, ...], kind: str, peer: Any, rounds: int, peer_rounds: int
) -> tuple[list[float], list[float]]:
    """Milliseconds of ours (seed after seed: draw and apply) and of the peer, alternating."""
    x = np.random.default_rng(0).random(shape, dtype=np.float32)
    apply = None if kind == "chain" else (kind,)

    def ours(seed: int) -> float:
        return timed(lambda: GENESIS.apply(x, GENESIS.draw(shape, seed, apply)))

    def theirs() -> float:
        copy = x[None].copy()
        return timed(lambda: peer(copy))

    ours(0)
    theirs()
    mine, other = [], []
    # In blocks: right after the other side, memory has to be fetched from the system again, which is neither's work.
    for block in range(0, rounds, BLOCK):
        mine += [ours(seed) for seed in range(block, min(block + BLOCK, rounds))]
        other += [theirs() for _ in range(min(BLOCK, peer_rounds - len(other)))]
    return mine, other


def chain_minima(shape: tuple[int, ...], seeds: int, repeats: int) -> float:
    """The mean over seeds of each seed's fastest repetition: the chain without the neighbours' disturbance."""
    x = np.random.default_rng(0).random(shape, dtype=np.float32)
    best = np.full(seeds, np.inf)
    for _ in range(repeats):
        for seed in range(seeds):
            best[seed] = min(best[seed], timed(lambda seed=seed: GENESIS(x, seed)))
    return float(best.mean())


def scaling(shape: tuple[int, ...], batch: int, rounds: int) -> tuple[float, float, float]:
    """Fastest milliseconds of a batch on one and on two threads, and the median ratio of neighbouring calls.

    Memory that was freed is kept, as in every training: clearing new pages is the system's work, and does not scale.
    """
    from genesis_core.training.hardware import keep_freed_memory

    keep_freed_memory()
    x = np.random.default_rng(0).random((batch, 1, *shape), dtype=np.float32)
    seeds = list(range(batch))
    one, two = [], []
    for _ in range(rounds):
        one.append(timed(lambda: GENESIS(x, seeds, threads=1)))
        two.append(timed(lambda: GENESIS(x, seeds, threads=2)))
    ratios = np.array(one) / np.array(two)
    return min(one), min(two), float(np.median(ratios))


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
    print("| one thread, float32, ms: median (minimum) | size | MONAI's nearest | ours | ratio of medians |")
    print("|---|---|---|---|---|")
    for size, shape in SIZES.items():
        volume = int(np.prod(shape)) / 131_072
        rounds = max(5, int(scale * 200 / volume**0.5))
        for kind, peer in peers(shape).items():
            slow = kind in ("local_shuffle", "chain")
            peer_rounds = max(3, int(rounds * (0.15 if slow else 1.0)))
            mine, other = compare(shape, kind, peer, rounds, peer_rounds)
            if kind == "chain":
                text = f"mean {np.mean(mine):.2f} ({chain_minima(shape, rounds, 3):.2f})"
                line = ["whole chain, published probabilities", size, f"mean {np.mean(other):.1f}", text]
                line.append(f"{np.mean(other) / np.mean(mine):.0f}x")
            else:
                line = [LABELS[kind], size, f"{np.median(other):.2f} ({min(other):.2f})"]
                line += [f"{np.median(mine):.3f} ({min(mine):.3f})", f"{np.median(other) / np.median(mine):.0f}x"]
            print("| " + " | ".join(line) + " |", flush=True)
    print("\n| one call on a batch | 1 thread, ms | 2 threads, ms | ratio of minima | median ratio |")
    print("|---|---|---|---|---|")
    for (size, shape), batch in zip(SIZES.items(), (64, 16, 8), strict=True):
        one, two, ratio = scaling(shape, batch, max(3, int(scale * 20)))
        print(f"| {batch} x {size} | {one:.1f} | {two:.1f} | {one / two:.2f} | {ratio:.2f} |", flush=True)
    compiled, loaded = cold_start()
    print(f"\nFirst start ever (compiling): {compiled:.1f} s; later starts (from the cache): {loaded:.2f} s")
    print(f"load average after: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
