"""
The tool C{alluxio-s3}: what can be asked or told beside the running daemon.

A group of commands is a L{click.Group} that is added to L{main}.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata

import click

from alluxio_tw.app import reference
from alluxio_tw.app.cachecommand import free, load, stat
from alluxio_tw.app.config import Config
from alluxio_tw.app.console import (
    Group,
    ListingGroup,
    OneLine,
    configured,
    loaded,
    show,
)
from alluxio_tw.app.keycommand import key
from alluxio_tw.app.kinds import quoted
from alluxio_tw.app.mountcommand import mount
from alluxio_tw.app.properties import (
    ALIASES,
    CHAPTERS,
    IGNORED,
    MOUNT_PROPERTIES,
    TABLE,
)
from alluxio_tw.app.rulescommand import rules
from alluxio_tw.app.sources import meant

DISTRIBUTION = "alluxio-tw"


@click.group(cls=Group, context_settings={"help_option_names": ["--help", "-h"]})
def main() -> None:
    """S3 in front of any storage. The daemon itself is 'twistd -n alluxio-s3 run'."""


@main.command()
def version() -> None:
    """Print the version."""
    try:
        number = metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        number = "not installed"
    click.echo(f"{DISTRIBUTION} {number}")


main.add_command(key)
for each in (load, stat, free):
    main.add_command(each)
main.add_command(mount)
main.add_command(rules)


# --- conf -------------------------------------------------------------------


@main.group(cls=ListingGroup)
def conf() -> None:
    """List the properties there are, or the values in force."""


@conf.command("list")
@configured
@click.option(
    "--all", "everything", is_flag=True, help="Also older names and variables."
)
@click.option("--markdown", is_flag=True, help="Print docs/configuration.md.")
@click.option("--example", is_flag=True, help="Print a file to begin with.")
@click.argument("pattern", required=False)
def list_properties(
    file: str | None,
    definitions: Sequence[str],
    mounts: Sequence[str],
    everything: bool,
    markdown: bool,
    example: bool,
    pattern: str | None,
) -> None:
    """
    List every property with default, type and meaning (this is what conf does by
    itself); with --config, -D or --mount, the value in force and where it was set.

    PATTERN keeps those whose name or meaning has it in it.
    """
    if markdown:
        click.echo(reference.markdown(), nl=False)
    elif example:
        click.echo(reference.example(), nl=False)
    elif file is not None or definitions or mounts:
        _show_values(loaded(file, definitions, mounts), pattern)
    else:
        _show_table(pattern, everything)


@conf.command("get")
@configured
@click.argument("name")
def get_property(
    file: str | None, definitions: Sequence[str], mounts: Sequence[str], name: str
) -> None:
    """Print the value of one property that is in force."""
    found = loaded(file, definitions, mounts)
    name = ALIASES[name].name if name in ALIASES else name
    for row in found.explain():
        if row.name == name:
            click.echo(row.value)
            return
    raise OneLine(f"unknown property {quoted(name)}{meant(name, (*TABLE, *ALIASES))}")


def _show_table(pattern: str | None, everything: bool) -> None:
    rows = [
        (
            entry.name,
            entry.default,
            entry.kind.name,
            " ".join((entry.meaning, *(reference.notes(entry) if everything else ()))),
            *((entry.variable,) if everything else ()),
        )
        for chapter in CHAPTERS
        for entry in chapter.properties
    ]
    blank = ("",) if everything else ()
    rows += [
        (each.pattern, each.default, each.kind, each.meaning, *blank)
        for each in MOUNT_PROPERTIES
    ]
    if everything:
        rows += [
            (name, "", "passed over", f"Has no effect: {why}.", *blank)
            for name, why in IGNORED.items()
        ]
    titles = [
        "Property",
        "Default",
        "Type",
        "Meaning",
        *(["Variable"] if blank else []),
    ]
    show(titles, [row for row in rows if _matches(pattern, row[0], row[3])])


def _show_values(found: Config, pattern: str | None) -> None:
    show(
        ["Property", "Value", "Source"],
        [
            (row.name, row.value, row.source)
            for row in found.explain()
            if _matches(pattern, row.name, row.value)
        ],
    )


def _matches(pattern: str | None, *texts: str) -> bool:
    return not pattern or any(pattern.lower() in text.lower() for text in texts)


if __name__ == "__main__":
    main()
