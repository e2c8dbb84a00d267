"""`./scripts/bench --gpu`: what a GPU can do at most, and what is served of it."""

from __future__ import annotations

import sys

from benchmarks.requisites import MEASURING, SERVING, hidden_from_workers, missing

NO_GPU = 3


def main() -> None:
    """Check what is there before it is imported; then the command of command.py."""
    lacking = missing(MEASURING)
    if lacking:
        sys.exit(f"not installed: {', '.join(lacking)}; `pip install --no-index --find-links FOLDER …` takes wheels")
    import torch

    if "--help" not in sys.argv and not torch.cuda.is_available():
        print("no GPU that torch can use is on this machine; ./scripts/bench measures the CPU", file=sys.stderr)
        sys.exit(NO_GPU)
    unserved = missing(SERVING)
    why = f"not installed: {', '.join(unserved)}" if unserved else hidden_from_workers()
    from benchmarks.gpu.command import app

    app(obj=why)


if __name__ == "__main__":
    main()
