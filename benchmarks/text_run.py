"""A run's stages up to the verdicts: where its time goes, two workers, memory, starting up."""

from __future__ import annotations

import cProfile
import json
import math
import os
import pstats
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.text_corpus import Crawl

FILES = 8
# Of HTML, so that starting up is little beside it; a smaller crawl is taken several times.
MEGABYTES = 1_600
ROUNDS = 2
LAST = "decide"
# Built-in types whose methods are Python at work, not a library.
GLUE_TYPES = ("'list'", "'dict'", "'str'", "'set'", "'tuple'", "'generator'", "'collections.")
SHOWN = 12


def print_run(crawl: Crawl) -> None:
    """Runs a recipe over the pages in processes of their own and prints what came out."""
    folder = Path(tempfile.mkdtemp(prefix="pangu-benchmark-run-"))
    few = crawl.first(1).write(folder / "one", 1)
    times = math.ceil(MEGABYTES / crawl.megabytes)
    crawl = Crawl(crawl.pages * times)
    files = crawl.write(folder / "all", FILES)
    one, two = ([_child(folder, files, workers=w) for _ in range(ROUNDS)] for w in (1, 2))
    fastest = [min(run["wall"] for run in runs) for runs in (one, two)]
    print(f"\n{len(crawl):,} pages ({times} × those given), {crawl.megabytes:.0f} MB:\n")
    print("| | 1 worker | 2 workers |\n|---|---:|---:|")
    print(f"| seconds | {fastest[0]:.1f} | {fastest[1]:.1f} |")
    speeds = [crawl.megabytes / seconds for seconds in fastest]
    print(f"| MB of HTML a second | {speeds[0]:.1f} | {speeds[1]:.1f} |")
    print(f"| CPU seconds of all processes | {one[0]['cpu']:.1f} | {two[0]['cpu']:.1f} |")
    print(f"| speed-up | 1 | {fastest[0] / fastest[1]:.2f} |")
    peaks = [max(run["peak"] for run in runs) for runs in (one, two)]
    print(f"| peak memory of a process, MB | {peaks[0]} | {peaks[1]} |")

    shares = _child(folder, files, profile=min(run["cpu"] for run in one))["shares"]
    print("\n| where a run's CPU time goes | share |\n|---|---:|")
    for name, share in shares["rooms"].items():
        print(f"| {name} | {share:.1%} |")
    print("\nMost expensive Python of the run, by own time:\n")
    for name, share in shares["functions"]:
        print(f"- {share:.1%} {name}")

    warm = _child(folder, few)
    empty = tempfile.mkdtemp(prefix="pangu-benchmark-kernels-")
    cold = _child(folder, few, environment={"NUMBA_CACHE_DIR": empty})
    print("\n| one page, in a new process | seconds of CPU |\n|---|---:|")
    print(f"| importing the stages | {warm['import']:.1f} |")
    print(f"| the whole run, kernels in the cache | {warm['import'] + warm['cpu']:.1f} |")
    print(f"| the whole run, every kernel compiled | {cold['import'] + cold['cpu']:.1f} |")


def _child(
    folder: Path,
    files: list[Path],
    workers: int = 1,
    profile: float = 0,
    environment: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Runs this file in a process of its own; returns what it prints.

    Args:
      profile: CPU seconds that the same run took without a profiler; 0 not to profile.
    """
    arguments = [str(workers), str(profile), tempfile.mkdtemp(dir=folder), *map(str, files)]
    done = subprocess.run(
        [sys.executable, __file__, *arguments],
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _run(workers: int, profile: float, folder: Path, files: list[str]) -> dict[str, Any]:
    start = time.process_time()
    from pipeline.execution import Execution
    from pipeline.recipe import load_recipe
    from pipeline.run import execute, make_plan
    from pipeline.run_directory import RunDirectory

    imported = time.process_time() - start
    recipe = folder / "benchmark.yaml"
    recipe.write_text(
        json.dumps({"name": "benchmark", "sources": [{"name": "web", "paths": files}]})
    )
    plan = make_plan(load_recipe(recipe), RunDirectory(str(folder / "run")))
    names = [planned.stage.name for planned in plan.stages]
    plan = replace(plan, stages=plan.stages[: names.index(LAST) + 1])
    execution = Execution(workers=workers)
    profilers: list[cProfile.Profile] = []

    def profile_thread(*_: object) -> None:
        profilers.append(cProfile.Profile(time.thread_time))
        profilers[-1].enable()

    if profile:
        # Beam works in threads of its own; each has its profiler.
        threading.setprofile(profile_thread)
        profile_thread()
    wall, cpu = time.monotonic(), time.process_time()
    execute(plan, execution, _Silent())
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    execution.close()
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu += children.ru_utime + children.ru_stime
    peaks = [
        resource.getrusage(who).ru_maxrss // 1024
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    ]
    result = {"import": imported, "wall": wall, "cpu": cpu, "peak": max(peaks)}
    return {**result, "shares": _shares(profilers, cpu - profile)} if profile else result


class _Silent:
    def stage_starts(self, planned: object) -> None: ...

    def parts_done(self, stage: str, done: int, total: int) -> None: ...

    def stage_ends(self, stage: str, manifest: object) -> None: ...


def _shares(profilers: list[cProfile.Profile], overhead: float) -> dict[str, Any]:
    """Own time of functions by room, importing left out.

    Args:
      overhead: seconds that the profilers cost. Each call cost the same, half of it in the caller
        and half in the called, and that is taken off again.
    """
    profiled: dict[Any, Any] = pstats.Stats(*profilers).stats  # type: ignore[attr-defined]
    calls: Counter[Any] = Counter()
    for function, (_, count, _, _, callers) in profiled.items():
        calls[function] += count
        for caller, (_, made, _, _) in callers.items():
            calls[caller] += made
    each = overhead / sum(calls.values())
    rooms: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    for function, (_, _, time_in_it, _, _) in profiled.items():
        file, line, name = function
        if "importlib" in file:
            continue
        own = max(0.0, time_in_it - each * calls[function])
        room = _room(file, name)
        rooms[room] += own
        if room not in ("kernels", "libraries"):
            functions[f"{'/'.join(file.split('/')[-2:])}:{line} {name}"] += own
    total = sum(rooms.values())
    return {
        "rooms": {name: own / total for name, own in rooms.most_common()},
        "functions": [(name, own / total) for name, own in functions.most_common(SHOWN)],
    }


def _room(file: str, name: str) -> str:
    if file == "~":
        is_glue = "built-in method builtins." in name or any(kind in name for kind in GLUE_TYPES)
        return "Python's own types and functions" if is_glue else "libraries"
    if "/filters/kernels/" in file:
        return "kernels"
    if "apache_beam" in file:
        return "Beam"
    for folder in ("filters", "pipeline"):
        if f"/{folder}/" in file and "site-packages" not in file:
            return f"Python of {folder}/"
    return "libraries" if "site-packages" in file else "Python's standard library"


if __name__ == "__main__":
    _workers, _profile, _folder, *_files = sys.argv[1:]
    print(json.dumps(_run(int(_workers), float(_profile), Path(_folder), _files)))
