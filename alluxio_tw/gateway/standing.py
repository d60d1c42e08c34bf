"""
How a mount is: well, or broken and looked at again.

Looking takes no longer than L{PATIENCE} of those who ask.  A look that takes longer
goes on; until it has ended there is no second one, since it may hold a thread that
hangs in the system.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from alluxio_tw.errors import GatewayError
from alluxio_tw.namespace.entries import MountEntry
from alluxio_tw.namespace.mount import Mount
from alluxio_tw.ufs.absent import AbsentUFS

FIRST_PAUSE = 1.0
LAST_PAUSE = 60.0
"""Seconds until a mount that is broken is looked at again; each is twice the last."""

PATIENCE = 5.0
"""Seconds that a look at a mount may keep those waiting who asked for it."""


@attrs.define(eq=False)
class Standing:
    """
    A mount, and how it is.

    :ivar retry: called to make the mount once more, when it is L{absent}.
    :ivar mount: L{AbsentUFS} stands in it where there is no driver.
    :ivar wrong: what is; empty if it is well, as far as is known.
    :ivar absent: it has no driver.
    """

    log = Logger()

    entry: MountEntry
    mount: Mount
    _clock: IReactorTime
    retry: Callable[[Standing], None]
    wrong: str = ""
    absent: bool = False
    _pause: float = attrs.field(default=FIRST_PAUSE, init=False)
    _tried: float = attrs.field(default=0.0, init=False)
    _again: IDelayedCall | None = attrs.field(default=None, init=False)
    _look: Deferred[str] | None = attrs.field(default=None, init=False)
    _over: bool = attrs.field(default=False, init=False)

    @classmethod
    def without(
        cls,
        entry: MountEntry,
        wrong: str,
        clock: IReactorTime,
        retry: Callable[[Standing], None],
    ) -> Standing:
        """A mount whose driver cannot be made, which is made again and again."""
        standing: Standing
        ufs = AbsentUFS(lambda: standing.wanted())
        mount = Mount.of(entry.path, entry.uri, entry.options, {}, ufs)
        standing = cls(entry, mount, clock, retry, absent=True)
        standing.failed(wrong)
        return standing

    @property
    def path(self) -> str:
        """Where it is mounted."""
        return self.entry.path

    # --- what was found ---------------------------------------------------------------

    def failed(self, wrong: str) -> None:
        """It is broken; it is looked at again after a while."""
        self._found(wrong)
        if self.absent:
            self._tried = self._clock.seconds()
        if not self._over and (self._again is None or not self._again.active()):
            pause, self._pause = self._pause, min(self._pause * 2, LAST_PAUSE)
            self._again = self._clock.callLater(pause, self._once_more)

    def made(self, mount: Mount) -> None:
        """It has a driver now."""
        self.mount, self.absent = mount, False
        self.succeeded()

    def succeeded(self) -> None:
        """It is well."""
        self._found("")
        self._pause = FIRST_PAUSE
        self._stop()

    def drop(self) -> None:
        """It is not mounted any more: do not look again."""
        self._over = True
        self._stop()

    def wanted(self) -> None:
        """Somebody asks for what is absent: perhaps it can be made by now."""
        if not self._over and self._clock.seconds() - self._tried >= FIRST_PAUSE:
            self._tried = self._clock.seconds()
            # Not within the request: it has its answer, and the next has the mount.
            self._clock.callLater(0, self._once_more)

    def _found(self, wrong: str) -> None:
        before, self.wrong = self.wrong, wrong
        if wrong == before or self._over:
            return
        if wrong:
            self.log.warn("{path} is broken: {why}", path=self.path, why=wrong)
        else:
            self.log.info("{path} is well again", path=self.path)

    def _stop(self) -> None:
        again, self._again = self._again, None
        if again is not None and again.active():
            again.cancel()

    def _once_more(self) -> None:
        if self._over:
            return
        if self.absent:
            self.retry(self)
        else:
            self._looking()

    # --- looking ------------------------------------------------------------------------

    def check(self) -> Deferred[str]:
        """What is wrong with it, in L{PATIENCE} at the most; empty if it is well."""
        answer: Deferred[str] = Deferred()
        if self.absent:
            self.wanted()
            answer.callback(self.wrong)
            return answer

        def late() -> None:
            self.failed(f"It has not answered within {PATIENCE:g} seconds.")
            answer.callback(self.wrong)

        def told(wrong: str) -> str:
            if timer.active():
                timer.cancel()
                answer.callback(wrong)
            return wrong

        timer = self._clock.callLater(PATIENCE, late)
        self._looking().addCallback(told)
        return answer

    def _looking(self) -> Deferred[str]:
        """The look under way, or another; it never fails."""
        look = self._look
        if look is None:
            look = self._look = Deferred.fromCoroutine(self._ask())
            look.addCallback(self._looked)
        return look

    async def _ask(self) -> str:
        try:
            await self.mount.ufs.check()
        except GatewayError as error:
            return error.message
        except Exception:
            self.log.failure("{path} cannot be looked at", path=self.path)
            return "It cannot be looked at; the daemon's log has more."
        return ""

    def _looked(self, wrong: str) -> str:
        self._look = None
        if wrong:
            self.failed(wrong)
        else:
            self.succeeded()
        return wrong
