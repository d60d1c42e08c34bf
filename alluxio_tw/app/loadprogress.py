"""
How the tool shows a load: a bar for who looks, lines for what reads.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from alluxio_tw.app.console import show

Document = Mapping[str, Any]
"""A load, as the daemon tells it."""

POLL_SECONDS = 0.2
LINE_SECONDS = 5.0
"""Between two lines where there is no bar."""

SHOWN = 20
"""Failures that are shown unless more are asked for."""


def follow(
    load: Document, ask: Callable[[], Document], as_json: bool, quiet: bool = False
) -> Document:
    """
    Show a load until it is over.

    :param ask: tells how far it has come.
    :param quiet: show nothing on the way.
    :return: the load at its end.
    """
    with _shown(as_json, quiet) as tell:
        while load["state"] == "RUNNING":
            tell(load)
            time.sleep(POLL_SECONDS)
            load = ask()
        tell(load)
    return load


@contextmanager
def _shown(as_json: bool, quiet: bool) -> Iterator[Callable[[Document], None]]:
    if quiet:
        yield lambda load: None
    elif as_json or not sys.stderr.isatty():
        yield _Lines(as_json).tell
    else:
        with _Bar() as bar:
            yield bar.tell


class _Bar:
    """A bar on the standard error."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[text]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task("", total=None, text="")

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def tell(self, load: Document) -> None:
        """Move it."""
        objects = load["options"]["metadata_only"] or not load["total_bytes"]
        done = load["done"] if objects else _moved(load)
        whole = load["objects"] if objects else load["total_bytes"]
        self._progress.update(
            self._task,
            description=escape(printable(load["path"])),
            completed=done,
            total=whole if load["counted"] else None,
            text=escape(in_words(load)),
        )


class _Lines:
    """Lines: JSON on the standard output, or words on the standard error."""

    def __init__(self, as_json: bool) -> None:
        self._json = as_json
        self._last = 0.0

    def tell(self, load: Document) -> None:
        """Write one, if the last was a while ago or it is the end."""
        now = time.monotonic()
        over = load["state"] != "RUNNING"
        if self._last and not over and now < self._last + self._pause():
            return
        self._last = now
        if self._json:
            click.echo(json.dumps(load))
        elif not over:
            click.echo(printable(f"{load['path']}: {in_words(load)}"), err=True)

    def _pause(self) -> float:
        return 1.0 if self._json else LINE_SECONDS


def in_words(load: Document) -> str:
    """How far it has come."""
    objects, whole = f"{load['objects']}", readable(load["total_bytes"])
    if not load["counted"] and not load["options"]["partial_listing"]:
        return f"counting, {objects} objects of {whole}"
    if not load["counted"]:
        objects, whole = f"{objects} or more", f"{whole} or more"
    text = f"{load['done']} of {objects} objects"
    if not load["options"]["metadata_only"]:
        text += f", {readable(_moved(load))} of {whole}"
        if load["seconds"] > 0:
            text += f", {readable(load['loaded_bytes'] / load['seconds'])}/s"
    if load["failed"]:
        text += f", {load['failed']} failed"
    return text


def conclude(load: Document, verbose: bool) -> None:
    """
    Say what came of it.

    :param verbose: name every failure that is known by name.
    """
    skipped = load["skipped"]
    text = f"{load['path']}: {load['state']}: {load['done']} objects"
    if not load["options"]["metadata_only"]:
        text += (
            f", {readable(load['loaded_bytes'])} loaded in {load['seconds']:.1f} s"
            f", {skipped} objects were there already"
        )
    if load["options"]["verify"]:
        text += (
            f", {load['verified']} verified, {load['unverifiable']} have no checksum to "
            "verify"
        )
    if load["failed"]:
        text += f", {load['failed']} failed"
    if load["reason"]:
        text += f" ({load['reason']})"
    click.echo(printable(text))
    for warning in load["warnings"]:
        click.echo(printable(f"Warning: {warning}"), err=True)
    shown = load["failures"] if verbose else load["failures"][:SHOWN]
    for each in shown:
        click.echo(printable(f"{each['key']}: {each['reason']}"), err=True)
    if load["failed"] > len(shown):
        click.echo(f"and {load['failed'] - len(shown)} more", err=True)


def table(loads: list[Document]) -> None:
    """All loads."""
    show(
        ["Path", "State", "Progress", "Reason"],
        [
            (printable(each["path"]), each["state"], in_words(each), each["reason"])
            for each in loads
        ],
    )


def readable(amount: float) -> str:
    """A size in a few characters."""
    unit = "B"
    for unit in ("B", "KB", "MB", "GB", "TB", "PB"):
        if amount < 1024 or unit == "PB":
            break
        amount /= 1024
    return f"{amount:.0f}{unit}" if unit == "B" else f"{amount:.1f}{unit}"


def _moved(load: Document) -> int:
    return int(load["done_bytes"]) + int(load["moving_bytes"])


def printable(text: str) -> str:
    """A key, which may have anything in it, for a terminal."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
