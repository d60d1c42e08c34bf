"""
Marks: how the processes of a worker learn that a record they hold is old.

Each process keeps decoded records in memory in front of the store that all
share.  A file that all have mapped has a row for each of 65,536 slots, and a
key's hash names its slot.  In a row are

- a I{mark}, a number that was never used before, set by whoever changes a record
  of the slot.  A process remembers with each record in memory the mark it saw
  before it looked; while that is still the mark, the record holds.  That is one
  comparison, and no call into the store;

- a byte for each process, set while a change that this process made is I{pending}:
  made, and perhaps acknowledged, but not in the store yet, where a thread puts
  many at once.  Meanwhile that process answers from memory; to the others the
  slot is unknown, and they ask the storage.  So a PutObject through one process
  is never followed by the old version through another;

- the time before which nothing in the store is to be believed.  What was pending
  in a process that was killed is lost, and the store has what it should have
  replaced.  Whoever takes the dead one's place, or comes when all are dead, writes
  down when it was found, and clears the byte.  Records from after that are good.

No two processes write the same byte, and marks are never the same, so nothing
here needs a lock but the question of whose byte is whose: a process locks the
file that has the byte's number, and the kernel returns the lock of a dead one.

Not chosen: one number that says both, which loses one's I{pending} when another
process ends its own in the same slot; and comparing with the store each time,
which costs several times as much, and does not see what is pending.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Container, Iterable
from itertools import count

import attrs
from xxhash import xxh3_64_intdigest

from alluxio_tw.errors import WrongConfiguration

SLOTS = 1 << 16
CONDEMNED = SLOTS
# One more mark, for all keys: not nought when the store is not to be read.

PROCESSES = 128
"""How many may share one folder."""

_DISTRUST = 8 * (SLOTS + 8)
_PENDING = _DISTRUST + 8 * SLOTS
_SIZE = _PENDING + SLOTS * PROCESSES
_NONE = bytes(PROCESSES)


def slot_of(key: bytes) -> int:
    """The slot of a key, the same in every process."""
    return xxh3_64_intdigest(key) & (SLOTS - 1)


@attrs.define(eq=False)
class Marks:
    """
    The file, as one process sees it.  Made by L{open}.

    :ivar values: the marks, by slot, to be read at will.
    """

    values: memoryview
    _distrust: memoryview[float]
    _mapped: mmap.mmap
    _index: int
    _claim: int
    _mine: int
    _next: count[int] = attrs.field(factory=count, init=False)

    @staticmethod
    def make(directory: str) -> None:
        """
        Make the file anew, while nobody has it mapped.

        :raises OSError: it cannot be made.
        """
        # Not sparse: writing to a mapped page that the disk has no room for
        # would kill the process.
        with open(os.path.join(directory, "marks"), "wb") as file:
            file.write(bytes(_SIZE))

    @staticmethod
    def bury(directory: str, now: float) -> bool:
        """
        Write down what was pending in processes that are gone, when all are.

        :param now: seconds since the epoch.
        :return: L{False} if there is no such file.
        """
        try:
            with open(os.path.join(directory, "marks"), "r+b") as file:
                if os.fstat(file.fileno()).st_size != _SIZE:
                    return False
                with mmap.mmap(file.fileno(), _SIZE) as mapped:
                    with memoryview(mapped).cast("d") as doubles:
                        at = mapped.find(b"\1", _PENDING)
                        while at >= 0:
                            slot = (at - _PENDING) // PROCESSES
                            doubles[_DISTRUST // 8 + slot] = now
                            mapped[at] = 0
                            at = mapped.find(b"\1", at)
                    mapped[8 * CONDEMNED : 8 * CONDEMNED + 8] = bytes(8)
        except FileNotFoundError:
            return False
        return True

    @classmethod
    def open(cls, directory: str, nonce: int, now: float) -> Marks:
        """
        Map the file, and take a place among those who do.

        :param nonce: 31 random bits, different in each process.
        :param now: seconds since the epoch.
        :raises OSError: it is not there, or cannot be mapped.
        :raises WrongConfiguration: too many have it mapped.
        """
        descriptor = os.open(os.path.join(directory, "marks"), os.O_RDWR | os.O_CLOEXEC)
        try:
            mapped = mmap.mmap(descriptor, _SIZE)
        finally:
            os.close(descriptor)
        index, claim = _claim(directory)
        whole = memoryview(mapped)
        marks = cls(
            whole[:_DISTRUST].cast("Q"),
            whole[_DISTRUST:_PENDING].cast("d"),
            mapped,
            index,
            claim,
            (nonce & 0x7FFF_FFFF) << 32,
        )
        column = whole[_PENDING + index :: PROCESSES].tobytes()
        if any(column):
            # Who had this place was killed.
            pending = [slot for slot, byte in enumerate(column) if byte]
            for slot in pending:
                marks._distrust[slot] = now
            marks.settle(pending)
        return marks

    def renew(self, slot: int) -> int:
        """A record of this slot was changed; its mark from now on."""
        mark = self.values[slot] = self._mine | (next(self._next) & 0xFFFF_FFFF)
        return mark

    def pend(self, slot: int) -> int:
        """
        A record of this slot was changed, and the store has it not yet; the
        slot's mark from now on.
        """
        # First the byte: who sees the new mark must see that too.
        self._mapped[_PENDING + slot * PROCESSES + self._index] = 1
        return self.renew(slot)

    def settle(self, pended: Iterable[int], again: Container[int] = ()) -> None:
        """
        The store has what was pending in these slots.

        :param again: slots where something else is pending by now.
        """
        for slot in pended:
            if slot not in again:
                # A machine whose processors see each other's writes out of order
                # may have let somebody read too early: hence the new mark.
                self.renew(slot)
                self._mapped[_PENDING + slot * PROCESSES + self._index] = 0

    def renew_all(self) -> None:
        """Any record may have changed."""
        values, mark = self.values, self.renew(0)
        for slot in range(1, SLOTS):
            values[slot] = mark

    def elsewhere(self, slot: int) -> bool:
        """Is a change pending that only another process knows?"""
        start = _PENDING + slot * PROCESSES
        row = self._mapped[start : start + PROCESSES]
        if row == _NONE:
            return False
        return any(byte for index, byte in enumerate(row) if index != self._index)

    def believable(self, slot: int, validated: float) -> bool:
        """Is a record in the store from after the last loss in its slot?"""
        return bool(validated > self._distrust[slot] or not self._distrust[slot])

    def condemn(self) -> None:
        """No process is to read the store any more."""
        self.values[CONDEMNED] = 1

    def sync(self) -> None:
        """
        Wait until the disk has the file.

        :raises OSError: it has not.
        """
        self._mapped.flush()

    def leave(self) -> None:
        """Give up the place; what is pending is for others to find."""
        os.close(self._claim)


def _claim(directory: str) -> tuple[int, int]:
    """
    A place that nobody has, and the descriptor that holds it.
    """
    for index in range(PROCESSES):
        descriptor = os.open(
            os.path.join(directory, f"process-{index}"),
            os.O_RDWR | os.O_CREAT | os.O_CLOEXEC,
            0o600,
        )
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
        else:
            return index, descriptor
    raise WrongConfiguration(
        f"The folder {directory} is used by {PROCESSES} processes already."
    )
