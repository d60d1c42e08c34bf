"""
Tests of L{alluxio_tw.namespace.pruning}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.iobjects import Status
from alluxio_tw.namespace.encoding import encode, key_of, validated_at
from alluxio_tw.namespace.environment import Environment
from alluxio_tw.namespace.pruning import FAR, STEP, STEPS, Pruning

STATUS = Status(1, "v" * 60, "e" * 32, 1)


class PruningTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.environment = Environment.open(self.mktemp(), 64 << 20, "boot", 1, 1.0)
        self.addCleanup(self.environment.close)

    def fill(self, folder: str, count: int, validated: float) -> None:
        with self.environment.database.begin(write=True) as txn:
            for number in range(count):
                path = f"{folder}/{number:06}"
                key = key_of("m", path)
                txn.put(key, encode(key, path, STATUS, validated))

    def ages(self) -> list[float]:
        with self.environment.database.begin() as txn:
            return [validated_at(stored) for _, stored in txn.cursor()]

    def test_within(self) -> None:
        """Nothing is deleted while there is room."""
        self.fill("a", 1000, 1.0)
        pruning = Pruning(self.environment, self.environment.used())
        pruning.prune()
        self.assertEqual(len(self.ages()), 1000)
        self.assertEqual(pruning.pruned, 0)

    def test_frees(self) -> None:
        """What is too much goes, and not much more."""
        self.fill("a", 20_000, 1.0)
        capacity = self.environment.used() * 3 // 4
        pruning = Pruning(self.environment, capacity)
        pruning.prune()
        self.assertLessEqual(self.environment.used(), capacity)
        left = len(self.ages())
        self.assertEqual(left + pruning.pruned, 20_000)
        self.assertGreater(left, 10_000)

    def test_older_first(self) -> None:
        """Old records go before new ones."""
        for part in range(20):
            self.fill(f"old{part:02}", 500, 1.0)
            self.fill(f"new{part:02}", 500, 2.0)
        capacity = self.environment.used() * 3 // 4
        Pruning(self.environment, capacity).prune()
        ages = self.ages()
        self.assertGreater(ages.count(2.0), ages.count(1.0) * 1.5)

    def test_goes_round(self) -> None:
        """What is far too much goes whole, in as many rounds as it takes."""
        self.fill("a", 3 * STEP, 1.0)
        pruning = Pruning(self.environment, 4096)
        pruning.prune()
        self.assertLessEqual(self.environment.used(), FAR * 4096)

    def test_bounded_steps(self) -> None:
        """A little too much is not made up for all at once."""
        self.fill("a", 40_000, 1.0)
        capacity = self.environment.used() * 7 // 10
        pruning = Pruning(self.environment, capacity)
        pruning.prune()
        self.assertLessEqual(pruning.pruned, STEPS * STEP)
        for _ in range(10):
            pruning.prune()
        self.assertLessEqual(self.environment.used(), capacity)

    def test_delete(self) -> None:
        """What begins with a prefix goes, and nothing else."""
        for folder in ("a", "b", "bb", "c"):
            self.fill(folder, STEP + 10, 1.0)
        pruning = Pruning(self.environment, 1 << 30)
        pruning.delete(key_of("m", "b/"))
        with self.environment.database.begin() as txn:
            folders = {bytes(key).split(b"/")[0] for key, _ in txn.cursor()}
        self.assertEqual(folders, {b"m\0a", b"m\0bb", b"m\0c"})
        self.assertEqual(len(self.ages()), 3 * (STEP + 10))
        pruning.delete(key_of("m", "z"))
        self.assertEqual(len(self.ages()), 3 * (STEP + 10))

    def test_delete_to_the_end(self) -> None:
        """What begins with the last prefix goes, too."""
        self.fill("a", 10, 1.0)
        self.fill("b", 10, 1.0)
        Pruning(self.environment, 1 << 30).delete(key_of("m", "b"))
        self.assertEqual(len(self.ages()), 10)

    def test_empty(self) -> None:
        """The empty prefix is everything."""
        self.fill("a", 10_000, 1.0)
        pruning = Pruning(self.environment, 1 << 30)
        pruning.delete(b"")
        self.assertEqual(self.ages(), [])
        self.assertEqual(self.environment.used(), 0)
        self.fill("a", 10, 1.0)
        self.assertEqual(len(self.ages()), 10)
