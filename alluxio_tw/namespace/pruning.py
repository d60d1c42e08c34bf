"""
Making room among stored records: the oldest first, more or less.

A hand goes round the keys in steps of some thousand neighbours, and looks at them
in runs of 64, which is a handful of LMDB's pages.  A run is deleted whole if it is
older, by the mean of when its records were validated, than half of those that
were left on the last round.  Before the first round the hand goes round once and
only looks.

Not chosen: deleting the older half of the records.  A page that is half empty
is still a page, and nothing would be gained.  Nor an index by age: it would
make every revalidation two writes, to save a question to the storage now and then.
"""

from __future__ import annotations

from itertools import islice
from statistics import median_low

import attrs

from alluxio_tw.namespace.encoding import validated_at
from alluxio_tw.namespace.environment import Environment

RUN = 64
STEP = 32 * RUN
FAR = 1.25
"""How many times its capacity is so far beyond it that pruning does not stop."""

STEPS = 8
"""How many at a time: what comes in between two times is less than these free."""


@attrs.define(eq=False)
class Pruning:
    """
    Keeps an environment within its capacity.  To be called in threads, one at a
    time.

    :ivar capacity: bytes.
    :ivar pruned: records that were deleted for room.
    """

    _environment: Environment
    capacity: int
    pruned: int = attrs.field(default=0, init=False)
    _hand: bytes = attrs.field(default=b"", init=False)
    _left: list[float] = attrs.field(factory=list, init=False)
    _limit: float | None = attrs.field(default=None, init=False)

    def prune(self) -> None:
        """
        Delete old records while there are too many, but not all at once unless
        there are far too many.

        :raises lmdb.Error: the environment failed.
        """
        steps = 0
        while (used := self._environment.used()) > self.capacity:
            if steps >= STEPS and used < FAR * self.capacity:
                break
            while self._limit is None:
                self._step()
            self._step()
            steps += 1

    def _step(self) -> None:
        limit = self._limit
        with self._environment.database.begin(write=limit is not None) as txn:
            cursor = txn.cursor()
            cursor.set_range(self._hand or b"\0")
            seen = [
                (key, validated_at(stored))
                for key, stored in islice(cursor.iternext(), STEP)
            ]
            for start in range(0, len(seen), RUN):
                run = seen[start : start + RUN]
                mean = sum(validated for _, validated in run) / len(run)
                if limit is None or mean > limit:
                    self._left.append(mean)
                    continue
                for key, _ in run:
                    txn.delete(key)
                self.pruned += len(run)
        if len(seen) == STEP:
            # The last one is looked at again, unless it was deleted.
            self._hand = seen[-1][0]
        else:
            self._hand = b""
            self._limit = median_low(self._left) if self._left else float("inf")
            self._left = []

    def delete(self, prefix: bytes) -> None:
        """
        Delete all records whose keys begin so.

        :raises lmdb.Error: the environment failed.
        """
        if not prefix:
            self.empty()
            return
        more = True
        while more:
            # In steps, so that other processes get their turn.
            with self._environment.database.begin(write=True) as txn:
                cursor = txn.cursor()
                more = cursor.set_range(prefix)
                for _ in range(STEP):
                    if not more or not cursor.key().startswith(prefix):
                        more = False
                        break
                    more = cursor.delete()

    def empty(self) -> None:
        """
        Delete every record.

        :raises lmdb.Error: the environment failed.
        """
        database = self._environment.database
        main = database.open_db()
        with database.begin(write=True) as txn:
            txn.drop(main, delete=False)
        # LMDB uses pages again two transactions after the one that freed them.
        for change in (lambda txn: txn.put(b"\0", b""), lambda txn: txn.delete(b"\0")):
            with database.begin(write=True) as txn:
                change(txn)
