"""
The options of a mount as the command line gives them, secrets among them.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Sequence

import click
import javaproperties

from alluxio_tw.app.console import OneLine
from alluxio_tw.app.kinds import quoted
from alluxio_tw.namespace.options import is_secret


def read_options(given: Sequence[str], file: str | None) -> dict[str, str]:
    """
    The options of a mount.

    :param given: each C{name=value}; the value may be C{@FILE}, C{@@} for one that
        begins with an at-sign, or C{-} for the standard input.
    :param file: the path of a .properties file; what is given beside it wins.
    :raises OneLine: they cannot be read; nothing of them is repeated.
    """
    found: dict[str, str] = {}
    if file is not None:
        found.update(_from_file(file))
    for each in given:
        name, equals, text = each.partition("=")
        if not name or not equals:
            # Not repeated: it may be a secret in the wrong place.
            raise OneLine("--option: write NAME=VALUE")
        if text == "-":
            text = sys.stdin.read().rstrip("\r\n")
        elif text.startswith("@@"):
            text = text[1:]
            warn_of_secret(name)
        elif text.startswith("@"):
            text = _content(text[1:], f"--option {name}").rstrip("\r\n")
        else:
            warn_of_secret(name)
        found[name] = text
    return found


def _from_file(path: str) -> dict[str, str]:
    text = _content(path, "--option-file")
    try:
        found: dict[str, str] = javaproperties.loads(text)
    except ValueError as error:
        # Without the cause: its text may quote the line.
        raise OneLine(f"--option-file: {path} is no .properties file") from error
    others = os.stat(path).st_mode & (stat.S_IRGRP | stat.S_IROTH)
    if others and any(map(is_secret, found)):
        click.echo(
            f"Note: others can read {path}, which has secrets; chmod 600 it.", err=True
        )
    return found


def _content(path: str, what: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise OneLine(f"{what}: {path} cannot be read: {why}") from error


def warn_of_secret(name: str) -> None:
    """Say so if the value of an option was where others may see it."""
    if is_secret(name):
        click.echo(
            f"Note: the value of {quoted(name)} was on the command line, where other "
            f"users may see it; --option {name}=@FILE or {name}=- keeps it to itself.",
            err=True,
        )
