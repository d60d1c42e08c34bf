"""
What is mounted, kept in step with what shall be.

The configuration is read once; what lies in the state may change at any time, and
is mounted, changed and unmounted as the state tells.  Where both have a path, the
configuration's counts: who wrote it can read there what is mounted, and no command
changes that behind their back.

A mount whose driver cannot be made is there all the same, as L{AbsentUFS}, and is
tried again: when somebody asks for it, and as often as a growing pause says.  A
mount that is changed or removed is closed when whatever began before is over, and
its uploads in progress end with it, as their parts lie in its storage.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

import attrs
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import (
    GatewayError,
    NoSuchBucket,
    NoSuchKey,
    ShuttingDown,
    WrongConfiguration,
)
from alluxio_tw.gateway.standing import Standing
from alluxio_tw.gateway.uploads import Uploads
from alluxio_tw.istate import IState
from alluxio_tw.namespace.entries import (
    OVERRULED,
    PREFIX,
    MountEntries,
    MountEntry,
    chosen,
    unreadable,
)
from alluxio_tw.namespace.metadata import Records
from alluxio_tw.namespace.mount import Mount
from alluxio_tw.namespace.mounts import MountTable, Place
from alluxio_tw.namespace.options import shown_uri

Make = Callable[[MountEntry], Mount]
"""
Makes a mount with its driver.

Fails with a L{GatewayError} whose message says what is wrong, and no secret.
"""

GRACE = 10.0
"""
Seconds without a lease, after which nobody uses a mount any more: between two calls
of one request it holds none.
"""


@attrs.define(eq=False)
class Mounting:
    """
    Mounts what shall be.

    :ivar standings: what is mounted, by path.
    :ivar left_out: what is not, with the reason why.
    """

    log = Logger()

    table: MountTable
    _state: IState
    _records: Records
    _make: Make
    _clock: IReactorTime
    _now: Callable[[], float]
    standings: dict[str, Standing] = attrs.field(factory=dict, init=False)
    left_out: list[tuple[MountEntry, str]] = attrs.field(factory=list, init=False)
    _uploads: Uploads | None = attrs.field(default=None, init=False)
    _configured: Sequence[MountEntry] = attrs.field(factory=tuple, init=False)
    _leaving: dict[Mount, Deferred[None]] = attrs.field(factory=dict, init=False)
    _unwatch: Callable[[], None] | None = attrs.field(default=None, init=False)
    _settling: bool = attrs.field(default=False, init=False)
    _waiting: list[Deferred[None]] = attrs.field(factory=list, init=False)
    _closed: bool = attrs.field(default=False, init=False)

    def begin(
        self, configured: Iterable[MountEntry], written: Iterable[MountEntry]
    ) -> None:
        """
        Mount, here and now, before anyone can ask.

        :raises WrongConfiguration: what is configured cannot be mounted together.
        """
        self._configured = tuple(configured)
        self._apply(list(written), False)

    def start(self, uploads: Uploads) -> None:
        """
        Begin to hear of changes, and look whether all is well.

        :param uploads: to end those whose storage goes.
        """
        self._uploads = uploads
        if self._unwatch is None:
            self._unwatch = self._state.watch(PREFIX, self._changed)
            self._changed("")

    def _changed(self, name: str) -> None:
        def failed(failure: Failure) -> None:
            if not self._closed:
                self.log.failure("What shall be mounted cannot be", failure)

        self.settle().addErrback(failed)

    def settle(self) -> Deferred[None]:
        """
        Read the state, and mount accordingly: when this has come about, so has
        whatever was written before it was called.
        """
        done: Deferred[None] = Deferred()
        self._waiting.append(done)
        if not self._settling:
            self._settling = True
            Deferred.fromCoroutine(self._settle())
        return done

    async def _settle(self) -> None:
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            failure = None
            try:
                if self._closed:
                    raise ShuttingDown()
                await self._settle_once()
            except Exception:
                failure = Failure()
            for waiter in waiting:
                waiter.callback(None) if failure is None else waiter.errback(failure)
        self._settling = False

    async def _settle_once(self) -> None:
        written = await MountEntries(self._state).every()
        if self._closed:
            raise ShuttingDown()
        before, when = self.table.mounts, int(self._now() * 1e9)
        if self._apply(written, True):
            # Nobody waits for it: the storage that goes may be what hangs.
            Deferred.fromCoroutine(self._end_uploads(before, when)).addErrback(
                lambda failure: self.log.failure("Uploads were not ended", failure)
            )

    # --- deciding ------------------------------------------------------------------

    def _apply(self, written: list[MountEntry], lenient: bool) -> bool:
        """Mount these, and what is configured; whether that changed anything."""
        wanted, left_out = chosen(self._configured, written, lenient)
        if [each[0].path for each in left_out] != [e.path for e, _ in self.left_out]:
            for entry, why in left_out:
                self.log.warn("{path} is not mounted: {why}", path=entry.path, why=why)
        self.left_out = left_out
        kept: dict[str, Standing] = {}
        for path, entry in wanted.items():
            there = self.standings.get(path)
            if there is not None and there.entry.means(entry):
                there.entry = entry
                kept[path] = there
        fresh = {
            path: self._made(entry, lenient)
            for path, entry in wanted.items()
            if path not in kept
        }
        gone = [each for path, each in self.standings.items() if path not in kept]
        if not fresh and not gone:
            return False
        first = not self.standings
        standings = kept | fresh
        try:
            self.table.replace(each.mount for each in standings.values())
        except GatewayError:
            for each in fresh.values():
                each.drop()
                each.mount.ufs.close()
            raise
        self.standings = standings
        for each in gone:
            self._leave(each)
            if each.path not in standings:
                self.log.info("unmounted {path}", path=each.path)
        for path, each in fresh.items():
            if not first and not each.absent:
                self.log.info(
                    "mounted {path} from {uri}",
                    path=path,
                    uri=shown_uri(each.entry.uri),
                )
        return True

    def _made(self, entry: MountEntry, lenient: bool) -> Standing:
        """
        A mount with its driver, or with none if it cannot be made.

        :param lenient: also of what is configured wrongly.
        """
        try:
            mount = self._driven(entry)
        except GatewayError as error:
            if (
                isinstance(error, WrongConfiguration)
                and not lenient
                and not entry.written
            ):
                raise
            standing = Standing.without(entry, error.message, self._clock, self._retry)
            standing.mount = self._dated(entry, standing.mount)
            return standing
        return Standing(entry, mount, self._clock, self._retry)

    def _driven(self, entry: MountEntry) -> Mount:
        """A mount with its driver."""
        if not entry.uri:
            raise unreadable(entry)
        return self._dated(entry, self._make(entry))

    def _dated(self, entry: MountEntry, mount: Mount) -> Mount:
        """
        The mount with the time when it was first mounted, which is when its bucket
        came to be: a restart does not make it younger.  What is known of an earlier
        mount of the same storage at the same path is not believed.
        """
        name = f"mount/{mount.id}"
        held = self._state.glance(name)
        since = entry.created
        if held is not None and since in (0, int(held.value)):
            return attrs.evolve(mount, created=int(held.value))
        since = since or int(self._now() * 1e9)
        for work in (
            self._records.drop_prefix(mount.id, ""),
            self._state.put(name, str(since).encode()),
        ):
            work.addErrback(
                lambda failure: self.log.failure(
                    "A mount was not written down", failure
                )
            )
        return attrs.evolve(mount, created=since)

    # --- how it is ----------------------------------------------------------------------

    def _retry(self, standing: Standing) -> None:
        """Try to make what could not be made."""
        try:
            mount = self._driven(standing.entry)
        except GatewayError as error:
            standing.failed(error.message)
            return
        standing.made(mount)
        self.table.replace(each.mount for each in self.standings.values())

    @deferred
    async def check(self, only: Collection[str] | None = None) -> dict[str, str]:
        """
        Look at every mount, side by side: by its path, the empty text if it is well,
        else what is wrong.

        :param only: the paths of those to look at; what is known of the others will
            do.
        """
        standings = list(self.standings.values())
        await gatherResults(
            [each.check() for each in standings if only is None or each.path in only]
        )
        found = {each.path: each.wrong for each in standings}
        for entry, why in self.left_out:
            if why != OVERRULED:
                found.setdefault(entry.path, why)
        return found

    # --- leaving ------------------------------------------------------------------------

    def _leave(self, standing: Standing) -> None:
        standing.drop()
        mount = standing.mount
        leaving = self._leaving[mount] = Deferred.fromCoroutine(self._close(mount))

        def failed(failure: Failure) -> None:
            if not failure.check(CancelledError):
                self.log.failure("{path} was not closed", failure, path=mount.path)

        def left(result: None) -> None:
            self._leaving.pop(mount, None)

        leaving.addErrback(failed).addCallback(left)

    async def _close(self, mount: Mount) -> None:
        leases = mount.leases
        while True:
            await leases.returned()
            taken = leases.taken
            await deferLater(self._clock, GRACE, lambda: None)
            if not leases.held and leases.taken == taken:
                break
        await mount.ufs.close()

    async def _end_uploads(self, mounts: Sequence[Mount], when: int) -> None:
        """
        End the uploads that began before now in a storage that is not their key's
        any more.

        :param mounts: those of before.
        :param when: nanoseconds since the epoch.
        """
        before = MountTable.of(mounts, self._clock)
        if self._uploads is not None:
            await self._uploads.end_moved(
                when,
                lambda bucket, key: _place(before, bucket, key),
                lambda bucket, key: _place(self.table, bucket, key),
            )

    @deferred
    async def close(self) -> None:
        """Let go of every mount, whether or not it is in use."""
        self._closed = True
        unwatch, self._unwatch = self._unwatch, None
        if unwatch is not None:
            unwatch()
        for standing in self.standings.values():
            standing.drop()
        leaving, self._leaving = dict(self._leaving), {}
        mounts = [*leaving, *self.table.mounts]
        for work in leaving.values():
            work.cancel()
        for mount in mounts:
            await mount.ufs.close()


def _place(table: MountTable, bucket: str, key: str) -> Place | None:
    try:
        return table.resolve(bucket, key)
    except (NoSuchBucket, NoSuchKey):
        return None
