"""
How the commands of the tool C{alluxio-s3} are told what to do, and tell.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.table import Table
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from alluxio_tw.app import config
from alluxio_tw.app.config import Config
from alluxio_tw.errors import GatewayError
from alluxio_tw.state.embedded import EmbeddedState
from alluxio_tw.threads import NoThreads

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class OneLine(click.ClickException):
    """A failure that is told in one line."""

    def format_message(self) -> str:
        return " ".join(self.message.split())


class Group(click.Group):
    """A group whose commands' failures are told in one line."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except GatewayError as error:
            raise OneLine(error.message) from error


class ListingGroup(Group):
    """A group that lists when no command is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = ["list", *args]
        return super().parse_args(ctx, args)


def configured(command: F) -> F:
    """Give a command the options that say how the daemon is configured."""
    for option in (
        click.option(
            "--mount",
            "mounts",
            multiple=True,
            metavar="BUCKET=URI",
            help="As run has it.",
        ),
        click.option(
            "-D",
            "definitions",
            multiple=True,
            metavar="NAME=VALUE",
            help="Set a property.",
        ),
        click.option(
            "--config", "file", metavar="FILE", help="Read this .properties file."
        ),
    ):
        command = option(command)
    return command


def loaded(
    file: str | None, definitions: Sequence[str], mounts: Sequence[str]
) -> Config:
    """
    The configuration in force, its warnings told.

    :raises WrongConfiguration: something of it cannot be used.
    """
    found = config.load(file, definitions, mounts, os.environ)
    for warning in found.warnings:
        click.echo(f"Warning: {warning}", err=True)
    return found


@contextmanager
def daemon_state(found: Config) -> Iterator[EmbeddedState]:
    """
    The state of the daemon that is configured so, opened beside it; noted if there
    was none yet.
    """
    if not os.path.exists(found.data.state_folder):
        click.echo(
            f"Note: {found.data.folder} is new; is it the alluxio.tw.data.dir of "
            "the daemon?",
            err=True,
        )
    state = EmbeddedState.open(
        found.data.state_folder,
        Clock(),
        NoThreads(),
        capacity=found.data.state_bytes,
    )
    try:
        yield state
    finally:
        now(state.close())


def now(done: Deferred[T]) -> T:
    """
    The result of what happens at once, as everything does without threads.
    """
    results: list[T] = []
    failures: list[Any] = []
    done.addCallbacks(results.append, failures.append)
    for failure in failures:
        failure.raiseException()
    return results[0]


def show(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table for who looks, lines with tabs for what reads."""
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join(" ".join(cell.split()) for cell in row))
        return
    table = Table(*titles, show_lines=True)
    for row in rows:
        # Nothing of it is markup.
        table.add_row(*(cell.replace("[", "\\[") for cell in row))
    Console().print(table)
