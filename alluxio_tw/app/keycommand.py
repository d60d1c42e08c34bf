"""
The commands C{alluxio-s3 key}: access keys in the state, made and changed beside
the running daemon, which hears of it within a second or two.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar

import click

from alluxio_tw.app.console import (
    Group,
    OneLine,
    configured,
    daemon_state,
    loaded,
    now,
    show,
)
from alluxio_tw.gateway import keyfile
from alluxio_tw.gateway.keys import AccessKey, AccessKeys
from alluxio_tw.s3.dates import iso8601

F = TypeVar("F", bound=Callable[..., Any])


@click.group(cls=Group)
def key() -> None:
    """Make, list and change the access keys that SIGV4 authentication knows."""


def own_secret(command: F) -> F:
    """Give a command the option of a secret that is not made up."""
    return click.option(
        "--secret-stdin",
        is_flag=True,
        help="Take the secret from the first line of the standard input.",
    )(command)


def with_keys(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the access keys of the daemon that is configured so."""

    @configured
    @wraps(command)
    def run(
        file: str | None,
        definitions: Sequence[str],
        mounts: Sequence[str],
        **rest: Any,
    ) -> None:
        found = loaded(file, definitions, mounts)
        with daemon_state(found) as state:
            keys = AccessKeys(state)
            if found.s3.access_keys:
                keys.write(keyfile.read(found.s3.access_keys).keys)
            command(keys, **rest)

    return run


@key.command()
@click.argument("user")
@click.option("--access-key", metavar="KEY", help="Instead of one that is made up.")
@own_secret
@with_keys
def add(
    keys: AccessKeys, user: str, access_key: str | None, secret_stdin: bool
) -> None:
    """Make an access key for USER, and print it with its secret, this once."""
    _tell(now(keys.add(user, access_key, _secret_given(secret_stdin))))


@key.command("list")
@with_keys
def list_keys(keys: AccessKeys) -> None:
    """List the access keys and their users, without their secrets."""
    written = keys.written
    rows = [_row(each, "file") for each in written.values()]
    rows += [
        _row(each, "state, but the file's counts")
        if each.access_key in written
        else _row(each, "state")
        for each in now(keys.every())
    ]
    show(["Access key", "User", "State", "Made", "Where"], rows)


@key.command()
@click.argument("access_key")
@with_keys
def disable(keys: AccessKeys, access_key: str) -> None:
    """Believe ACCESS_KEY no longer, until it is enabled."""
    now(keys.enable(access_key, False))


@key.command()
@click.argument("access_key")
@with_keys
def enable(keys: AccessKeys, access_key: str) -> None:
    """Believe ACCESS_KEY again."""
    now(keys.enable(access_key))


@key.command()
@click.argument("access_key")
@own_secret
@with_keys
def rotate(keys: AccessKeys, access_key: str, secret_stdin: bool) -> None:
    """
    Give ACCESS_KEY another secret, and print it, this once. The old one is
    of no more use; to change over without a gap, add a second key to the user, and
    remove the first when it is used no more.
    """
    _tell(now(keys.rotate(access_key, _secret_given(secret_stdin))))


@key.command()
@click.argument("access_key")
@with_keys
def remove(keys: AccessKeys, access_key: str) -> None:
    """Forget ACCESS_KEY."""
    now(keys.remove(access_key))


def _secret_given(wanted: bool) -> str | None:
    if not wanted:
        return None
    secret = sys.stdin.readline().strip()
    if not secret:
        raise OneLine("there is no secret on the standard input")
    return secret


def _tell(made: AccessKey) -> None:
    show(["Access key", "Secret", "User"], [(made.access_key, made.secret, made.user)])
    click.echo("Keep the secret: it is not shown again.", err=True)


def _row(each: AccessKey, where: str) -> tuple[str, ...]:
    return (
        each.access_key,
        each.user,
        "enabled" if each.enabled else "disabled",
        iso8601(each.created * 10**9) if each.created else "",
        where,
    )
