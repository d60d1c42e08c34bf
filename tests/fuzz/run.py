"""
What the scripts beside this one share: atheris, if it is there.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable


def run(one: Callable[[bytes], object]) -> None:
    """
    Throw bytes at C{one} until it raises, or for as long as libFuzzer's own
    arguments say (C{-max_total_time=600}, a corpus folder, ...).
    """
    try:
        import atheris
    except ImportError:
        sys.exit(
            "atheris is not installed here (pip install atheris; it has wheels for "
            "some versions of Python on Linux and macOS only). To throw plain "
            "random bytes without it, use tests.fuzz.run.blindly."
        )
    atheris.instrument_all()
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


def blindly(
    one: Callable[[bytes], object], words: list[bytes], count: int, seed: int
) -> None:
    """
    Throw random bytes and words of the language at C{one}, without coverage.
    """
    rng = random.Random(seed)
    for _ in range(count):
        parts = [
            rng.choice(words) if rng.random() < 0.7 else rng.randbytes(rng.randrange(9))
            for _ in range(rng.randrange(12))
        ]
        one(b"".join(parts))
