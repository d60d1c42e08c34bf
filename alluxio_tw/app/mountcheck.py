"""
Asks a storage, from the command line, whether it could be mounted.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import click
from prometheus_client import CollectorRegistry
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from alluxio_tw.app.console import OneLine
from alluxio_tw.app.storage import make_mount
from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import BackendError, GatewayError, StorageUnavailable
from alluxio_tw.metrics import Metrics
from alluxio_tw.namespace.entries import MountEntry
from alluxio_tw.namespace.options import shown_uri
from alluxio_tw.threads import IThreads, NoThreads, PooledThreads

PATIENCE = 20.0
"""Seconds until a storage that does not answer is taken for one that never will."""


class _Threads(ThreadPool):
    """Threads that do not keep the process: one may hang in the system."""

    threadFactory = staticmethod(partial(threading.Thread, daemon=True))  # type: ignore[assignment]


@deferred
async def look(entry: MountEntry, clock: IReactorTime, threads: IThreads) -> str:
    """
    What is wrong with the storage; empty if it can be used.

    :raises WrongConfiguration: the URI or an option cannot be used, and never will.
    """
    metrics = Metrics(CollectorRegistry(), process=False)
    try:
        mount = make_mount(entry, clock, threads, metrics)
    except BackendError as error:
        return error.message
    answer: Deferred[str] = Deferred()

    def late() -> None:
        answer.callback(f"It has not answered within {PATIENCE:g} seconds.")

    def told(result: Failure | None) -> None:
        if not timer.active():
            return
        timer.cancel()
        if not isinstance(result, Failure):
            answer.callback("")
        elif isinstance(result.value, GatewayError):
            answer.callback(result.value.message)
        else:
            answer.callback(f"Its driver failed: {type(result.value).__name__}")

    timer = clock.callLater(PATIENCE, late)
    mount.ufs.check().addBoth(told)
    wrong = await answer
    # Whatever hangs ends with the process.
    mount.ufs.close().addErrback(lambda failure: None)
    return wrong


def check_now(entry: MountEntry) -> str:
    """
    As L{look}, in a process that has nothing else to do, and once in its life.

    :raises WrongConfiguration: the URI or an option cannot be used, and never will.
    """
    from twisted.internet import reactor as _reactor

    reactor: Any = _reactor
    pool = _Threads(0, 4)
    answers: list[str] = []
    failures: list[Failure] = []

    def begin() -> None:
        pool.start()
        look(entry, reactor, PooledThreads(reactor, pool)).addCallbacks(
            answers.append, failures.append
        ).addBoth(lambda result: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()
    for failure in failures:
        failure.raiseException()
    if not answers:
        raise StorageUnavailable("Looking at the storage was interrupted.")
    return answers[0]


def require(entry: MountEntry, ask: bool, force: bool) -> None:
    """
    Make the driver, and ask the storage.

    :param ask: whether to ask it.
    :param force: take any answer.
    :raises WrongConfiguration: this mount can never be.
    :raises OneLine: it cannot be used now.
    """
    wrong = ""
    if ask:
        wrong = check_now(entry)
    else:
        metrics = Metrics(CollectorRegistry(), process=False)
        try:
            made = make_mount(entry, Clock(), NoThreads(), metrics)
        except BackendError as error:
            click.echo(f"Note: {error.message}", err=True)
        else:
            made.ufs.close().addErrback(lambda failure: None)
    if wrong and not force:
        raise OneLine(
            f"{shown_uri(entry.uri)} cannot be used: {wrong.rstrip('.')}. "
            "--force writes it all the same"
        )
    if wrong:
        click.echo(f"Note: it cannot be used yet: {wrong}", err=True)
