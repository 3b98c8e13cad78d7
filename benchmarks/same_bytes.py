"""Shows that a run gives the same bytes with 1 and 2 workers, and when it is killed and resumed.

    python benchmarks/same_bytes.py recipes/demo.yaml --kills 5

Runs the recipe undisturbed with each number of workers, then once more with `kill -9` sent to the
whole process group at random moments, resuming each time. Compares corpus, dropped documents,
tokenizer and shards, byte by byte.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STAGES = 13
COMPARED = ("corpus", "dropped", "dead_letters", "tokenizer", "shards", "ledger.json")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        digests = {}
        for workers in arguments.workers:
            start = time.monotonic()
            subprocess.run(command(arguments.recipe, folder / f"{workers}", workers), check=True)
            seconds = time.monotonic() - start
            digests[f"{workers} workers, {seconds:.0f} s"] = digest(folder / f"{workers}")
        killed = folder / "killed"
        rng = random.Random(arguments.seed)
        run = command(arguments.recipe, killed, arguments.workers[-1])
        run_with_kills(run, killed, arguments.kills, rng)
        digests[f"killed {arguments.kills} times"] = digest(killed)
    for how, value in digests.items():
        print(f"{value[:16]}  {how}")
    same = len(set(digests.values())) == 1
    print("same bytes" if same else "DIFFERENT BYTES")
    sys.exit(not same)


def command(recipe: Path, out: Path, workers: int) -> list[str]:
    return [
        *(sys.executable, "-m", "pangu", "run", str(recipe)),
        *("--out", str(out), "--workers", str(workers)),
    ]


def run_with_kills(run: list[str], out: Path, kills: int, rng: random.Random) -> None:
    """Kills a run so many times, a random moment after it got so much further, then lets it end.

    Args:
      run: the command.
      out: its run directory.
      kills: how often to kill it; spread over the stages.
      rng: chooses the moments.
    """
    for kill in range(kills):
        process = subprocess.Popen(run, start_new_session=True, stdout=subprocess.DEVNULL)
        while finished_stages(out) < kill * STAGES // kills and process.poll() is None:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 1))
        if process.poll() is not None:
            raise SystemExit(f"the run ended before it could be killed for the {kill + 1}. time")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    subprocess.run(run, check=True, stdout=subprocess.DEVNULL)


def finished_stages(out: Path) -> int:
    """How many stages of a run have their manifest."""
    return len(list(out.glob("stages/*/manifest.json")))


def digest(run: Path) -> str:
    """One digest over the names and bytes of everything that must not differ."""
    total = hashlib.sha256()
    for name in COMPARED:
        top = run / name
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file():
                total.update(f"{path.relative_to(run)}\0".encode())
                total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


if __name__ == "__main__":
    main()
