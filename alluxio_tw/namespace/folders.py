"""
The folders of the root mount, which are buckets, asked for as seldom as is right.

That a folder is there is remembered for a second or so: a writer is asked once
a second, not once a write, whether its bucket exists.  That one is B{not} there
is never remembered, since another worker may have made it a moment ago; but
however many ask, the storage reads its folders once at a time.

Who asks while it is being read waits for the next reading.  Not chosen: joining
the one under way.  It may have passed the place where a folder was made since,
and CreateBucket on one worker must be seen by a PutObject on the next.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from alluxio_tw.iobjects import Bucket
from alluxio_tw.iufs import IUnderFileSystem

REMEMBERED = 100_000
"""Folders; of a root that has more, none are remembered."""


@attrs.define(eq=False)
class Folders:
    """
    The folders right beneath the root of one storage.

    :ivar age: seconds that a folder is believed to be there.
    """

    _ufs: IUnderFileSystem
    _clock: IReactorTime
    age: float = 1.0
    _known: dict[str, Bucket] = attrs.field(factory=dict, init=False)
    _until: float = attrs.field(default=0.0, init=False)
    _changes: int = attrs.field(default=0, init=False)
    _reading: bool = attrs.field(default=False, init=False)
    _waiting: list[Deferred[dict[str, Bucket]]] = attrs.field(factory=list, init=False)

    def glance(self, name: str) -> Bucket | None:
        """The folder, if it was there a moment ago."""
        if self._clock.seconds() >= self._until:
            return None
        return self._known.get(name)

    def all(self) -> Deferred[dict[str, Bucket]]:
        """
        Every folder, as the storage says after this was asked.

        :raises BackendError: it cannot be asked.
        """
        waiter: Deferred[dict[str, Bucket]] = Deferred(self._leave)
        self._waiting.append(waiter)
        if not self._reading:
            self._read()
        return waiter

    def forget(self) -> None:
        """Something was made or removed: believe nothing."""
        self._known = {}
        self._until = 0.0
        self._changes += 1

    def _leave(self, waiter: Deferred[dict[str, Bucket]]) -> None:
        if waiter in self._waiting:
            self._waiting.remove(waiter)

    def _read(self) -> None:
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        self._reading = True
        asked, changes = self._clock.seconds(), self._changes

        def landed(result: Sequence[Bucket] | Failure) -> None:
            self._reading = False
            answer: dict[str, Bucket] | Failure
            if isinstance(result, Failure):
                answer = result
            else:
                answer = {each.name: each for each in result}
                if len(answer) <= REMEMBERED and changes == self._changes:
                    # Counted from the question: what it says is no younger.
                    self._known, self._until = answer, asked + self.age
            # The next reading begins before anyone is told, so that whoever
            # asks on being told waits for a later one still.
            self._read()
            for waiter in waiting:
                if not waiter.called:
                    waiter.callback(answer)

        self._ufs.folders().addBoth(landed)
