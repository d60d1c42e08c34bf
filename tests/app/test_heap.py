"""
Memory that is given back.
"""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.app.heap import Heap
from alluxio_tw.threads import NoThreads

LITTER = """
from alluxio_tw.app.heap import SPARE, Heap
from alluxio_tw.threads import NoThreads

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

# From now on pieces lie in the heap, and not each by itself.
large = bytes(31 << 20)
del large
freed, kept = [], []
for _ in range(2 * SPARE >> 18):
    freed.append(bytes(256 << 10))
    kept.append(bytes(600))
del freed
heap = Heap(NoThreads())
assert heap.spare > SPARE, heap.spare
before = resident()
heap.look()
assert resident() > before - SPARE // 2, "at the first look"
heap.look()
assert resident() < before - SPARE, (before, resident())
assert kept
"""
"""Frees twice what may lie about, beneath what is still in use."""


class HeapTests(SynchronousTestCase):
    """The heap of a process."""

    def test_given_back(self) -> None:
        """What lies about at two looks is given back to the system."""
        # In a process of its own: in the holes of this one anything could find room.
        done = subprocess.run(
            [sys.executable, "-c", LITTER], capture_output=True, text=True, timeout=60
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_other_library(self) -> None:
        """Where the C library is another, nothing happens."""
        heap = Heap(NoThreads(), None)
        self.assertEqual(heap.spare, 0)
        self.successResultOf(heap.look())
        self.successResultOf(heap.look())
