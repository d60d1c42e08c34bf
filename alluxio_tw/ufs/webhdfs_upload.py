"""
One request that carries bytes to a datanode.
"""

from __future__ import annotations

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from twisted.web.iweb import IBodyProducer

from alluxio_tw.errors import GatewayError, StorageUnavailable
from alluxio_tw.ufs.webhdfs_datanodes import Target
from alluxio_tw.ufs.webhdfs_faults import Complaint
from alluxio_tw.ufs.webhdfs_outflow import Outflow
from alluxio_tw.ufs.webhdfs_watch import Unreached
from alluxio_tw.ufs.webhdfs_wire import Asking, Wire

_SAID_MOST = 64 << 10


async def judged(
    wire: Wire,
    method: bytes,
    target: Target,
    body: IBodyProducer,
    timeout: float | None = None,
) -> None:
    """
    Send a body, and hear what the datanode says of it.

    :param timeout: seconds, if it is not what others are; nought for no limit.
    :raises Complaint: it refuses.
    :raises Unreached: there is no answer.
    """
    response = await wire.send(method, target, body, timeout)
    if response.code not in (200, 201):
        await wire.refused(response)
    try:
        await wire.arrival(response, lambda: None).all(_SAID_MOST)
    except GatewayError as error:
        raise Unreached(error.message) from error


async def _carried(
    wire: Wire, asking: Asking, target: Target, outflow: Outflow
) -> None:
    """Carry bytes to a datanode; to another one, while none of them has gone."""
    tries = 0
    while True:
        try:
            # Nobody knows how long it takes: bytes are watched, not the answer.
            await judged(wire, asking.method, target, outflow, timeout=0)
            return
        except Unreached as error:
            tries += 1
            wire.datanodes.shun(target)
            if not error.unsent or outflow.started or tries > wire.retries:
                raise
        await wire.pause(tries)
        target = await wire.whereto(asking)


@attrs.define(eq=False)
class Upload:
    """
    One request that carries bytes to a datanode, while they come.
    """

    _wire: Wire
    _outflow: Outflow
    _sent: Deferred[None] = attrs.field(repr=False)
    _error: Exception | None = attrs.field(default=None, init=False)
    _over: Deferred[None] = attrs.field(factory=Deferred, init=False, repr=False)

    @classmethod
    async def begin(cls, wire: Wire, asking: Asking) -> Upload:
        """
        Begin.

        :raises Complaint: HDFS refuses.
        """
        released = await wire.writing.take()
        try:
            target = await wire.whereto(asking)
        except BaseException:
            released()
            raise
        outflow = Outflow(wire.clock, wire.timeout)
        work = Deferred.fromCoroutine(_carried(wire, asking, target, outflow))
        made = cls(wire, outflow, work)
        work.addBoth(made._ended)
        work.addBoth(lambda _: released())
        return made

    def write(self, data: bytes | memoryview) -> Deferred[None]:
        """
        Send; fires when the datanode can take more.

        :raises StorageUnavailable: it takes nothing any more.
        """
        return self._outflow.write(data)

    async def end(self) -> None:
        """
        There is no more; the file is closed then.

        :raises BackendError: it is not what was sent.
        """
        self._outflow.end()
        try:
            await self._over.addTimeout(self._wire.timeout, self._wire.clock, _too_long)
        except BaseException:
            await self.abort()
            raise
        if self._error is not None:
            raise self._error

    async def abort(self) -> None:
        """Give up; the datanode is gone from then on."""
        self._outflow.fail(StorageUnavailable("This write was given up."))
        self._sent.cancel()

    def _ended(self, outcome: Failure | None) -> None:
        if outcome is not None:
            error = outcome.value
            if isinstance(error, Complaint):
                error = error.noun()
            elif isinstance(error, Unreached):
                error = StorageUnavailable(error.message)
            elif not isinstance(error, GatewayError):
                error = StorageUnavailable("The storage broke off.")
            self._error = error
            self._outflow.fail(error)
        if not self._over.called:
            self._over.callback(None)


def _too_long(outcome: object, seconds: float) -> object:
    if isinstance(outcome, Failure) and outcome.check(CancelledError):
        raise StorageUnavailable("The storage does not answer in time.")
    return outcome
