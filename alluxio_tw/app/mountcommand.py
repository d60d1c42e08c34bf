"""
The commands C{alluxio-s3 mount}: mounts in the state, made and changed beside the
running daemon, which is asked whether it has them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar

import attrs
import click

from alluxio_tw.app.config import Config
from alluxio_tw.app.console import (
    Group,
    OneLine,
    configured,
    daemon_state,
    loaded,
    now,
    show,
)
from alluxio_tw.app.control import ControlClient, DaemonAway
from alluxio_tw.app.kinds import quoted
from alluxio_tw.app.mountcheck import require
from alluxio_tw.app.mountlisting import at_rest, state_of
from alluxio_tw.app.mountoptions import read_options, warn_of_secret
from alluxio_tw.app.mountpoints import absolute_uri, check_path
from alluxio_tw.istate import IState
from alluxio_tw.namespace.entries import (
    OVERRULED,
    STATE,
    MountEntries,
    MountEntry,
    chosen,
    encoded,
)
from alluxio_tw.namespace.mount import mount_path
from alluxio_tw.namespace.options import shown_uri
from alluxio_tw.ufs.uris import locate

F = TypeVar("F", bound=Callable[..., Any])

DAEMON_SECONDS = 30.0
"""For the daemon to look at its mounts: each is given five."""

SETTINGS = ("owner", "policy", "cors", "tags", "versioning")
"""What may be kept of a bucket beside its objects."""


@attrs.frozen
class Tool:
    """
    What the commands work with.
    """

    config: Config
    state: IState
    entries: MountEntries
    daemon: ControlClient

    def live(self, look: str | None = None) -> list[dict[str, Any]] | None:
        """
        The daemon's mounts and how they are; L{None} without a daemon.

        :param look: at the mount at this path; at all without.
        """
        given = {} if look is None else {"look": look}
        try:
            found: dict[str, Any] = self.daemon.get(
                "/v1/mounts", DAEMON_SECONDS, **given
            )
        except DaemonAway:
            return None
        mounts: list[dict[str, Any]] = found["mounts"]
        return mounts

    def configured(self) -> list[MountEntry]:
        """What is mounted by other means than this tool."""
        live = self.live("")
        if live is None:
            return [point.entry for point in self.config.mounts]
        return [
            MountEntry(each["path"], each["uri"], {}, each["origin"], each["fallback"])
            for each in live
            if each["origin"] != STATE
        ]


@click.group(cls=Group)
def mount() -> None:
    """Mount storage, list what is mounted, change and remove it."""


def with_tool(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the mounts of the daemon that is configured so."""

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
            entries = MountEntries(state)
            command(Tool(found, state, entries, ControlClient.of(found)), **rest)

    return run


def of_options(command: F) -> F:
    """Give a command the options that say what is mounted."""
    for option in (
        click.option(
            "--force", is_flag=True, help="Write it, whatever the storage answers."
        ),
        click.option(
            "--check/--no-check",
            "ask",
            default=True,
            help="Ask the storage whether it can be used; this is the default.",
        ),
        click.option(
            "--option-file",
            metavar="FILE",
            help="Take options from this .properties file.",
        ),
        click.option(
            "--option",
            "options",
            multiple=True,
            metavar="NAME=VALUE",
            help="An option; VALUE may be @FILE for what is in a file, or - for what "
            "comes on the standard input, so that a secret is on no command line.",
        ),
    ):
        command = option(command)
    return command


@mount.command()
@click.option("--path", required=True, help="/, /bucket, or /bucket/folder.")
@click.option(
    "--ufs-uri", required=True, metavar="URI", help="Or the path of a folder."
)
@of_options
@click.option("--read-only", is_flag=True, help="Refuse every write.")
@click.option(
    "--settings",
    type=click.Choice(["keep", "forget"]),
    help="What to do with the policy, CORS, tags and owner that a bucket of that name "
    "has from before.",
)
@with_tool
def add(
    tool: Tool,
    path: str,
    ufs_uri: str,
    options: Sequence[str],
    option_file: str | None,
    ask: bool,
    force: bool,
    read_only: bool,
    settings: str | None,
) -> None:
    """Mount a storage."""
    path = _path(path)
    given = read_options(options, option_file)
    if read_only:
        given["readonly"] = "true"
    entry = MountEntry(path, _uri(ufs_uri), given, created=time.time_ns())
    encoded(entry)
    _check_place(tool, entry)
    bucket = path[1:]
    kept = "/" not in bucket and _kept(tool.state, bucket)
    if kept and settings is None:
        raise OneLine(
            f"the bucket {quoted(bucket)} has settings from before ({', '.join(kept)}): "
            "say --settings keep or --settings forget"
        )
    require(entry, ask, force)
    if kept and settings == "forget":
        now(tool.state.delete(f"bucket/{bucket}"))
    _await(tool, path, now(tool.entries.add(entry)))


@mount.command()
@click.option("--path", required=True, help="Where it is mounted.")
@click.option("--ufs-uri", metavar="URI", help="Another storage.")
@of_options
@click.option(
    "--remove-option",
    "removed",
    multiple=True,
    metavar="NAME",
    help="Forget an option.",
)
@click.option("--read-only/--writable", "read_only", default=None)
@with_tool
def update(
    tool: Tool,
    path: str,
    ufs_uri: str | None,
    options: Sequence[str],
    option_file: str | None,
    ask: bool,
    force: bool,
    removed: Sequence[str],
    read_only: bool | None,
) -> None:
    """Change what is mounted; requests that have begun finish on what was."""
    path = _path(path)
    given = read_options(options, option_file)
    if not (given or removed or ufs_uri or read_only is not None):
        raise OneLine("there is nothing to change: say --ufs-uri, --option or the like")
    before = now(tool.entries.get(path))
    merged = {**before.options, **given}
    for name in removed:
        if merged.pop(name, None) is None:
            raise OneLine(f"the mount at {path} has no option {quoted(name)}")
    if read_only is not None:
        merged.pop("readonly", None)
        if read_only:
            merged["readonly"] = "true"
    uri = before.uri if ufs_uri is None else _uri(ufs_uri)
    another = uri != before.uri
    entry = MountEntry(
        path, uri, merged, created=time.time_ns() if another else before.created
    )
    encoded(entry)
    require(entry, ask, force)
    _await(tool, path, now(tool.entries.change(path, lambda held: entry)))


@mount.command()
@click.option("--path", required=True, help="Where it is mounted.")
@with_tool
def remove(tool: Tool, path: str) -> None:
    """
    Unmount a storage. What is in it stays as it is; requests that have begun finish;
    uploads in progress end.
    """
    path = _path(path)
    now(tool.entries.get(path))
    before = now(tool.entries.every())
    configured = tool.configured()
    rest = [each for each in before if each.path != path]
    orphans = {
        each.path for each, why in chosen(configured, rest, True)[1] if why != OVERRULED
    } - {each.path for each, _ in chosen(configured, before, True)[1]}
    if orphans:
        raise OneLine(
            f"something is mounted beneath {path}, and would be without a bucket: "
            f"remove {', '.join(sorted(orphans))} first"
        )
    now(tool.entries.remove(path))
    kept = "/" not in path[1:] and _kept(tool.state, path[1:])
    if kept:
        click.echo(
            f"Note: what was set of the bucket is kept ({', '.join(kept)}).", err=True
        )
    _await(tool, path, "")


@mount.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@with_tool
def list_mounts(tool: Tool, as_json: bool) -> None:
    """List what is mounted, and how it is; secrets are not shown."""
    found = tool.live()
    if found is None:
        written = now(tool.entries.every())
        found = at_rest(tool.configured(), written)
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    show(
        ["Path", "URI", "Options", "Access", "From", "State"],
        [
            (
                each["path"],
                each["uri"],
                " ".join(f"{k}={v}" for k, v in each["options"].items()),
                "read-only" if each["read_only"] else "",
                each["origin"],
                state_of(each),
            )
            for each in found
        ],
    )


# --- what is given -------------------------------------------------------------------


def _path(path: str) -> str:
    path = path if path == "/" else path.rstrip("/")
    check_path(path, "--path")
    return mount_path(path)


def _uri(text: str) -> str:
    uri = absolute_uri(text, "--ufs-uri")
    query = locate(uri).query
    for name in query:
        warn_of_secret(name)
    return uri


# --- whether it can be ---------------------------------------------------------------


def _check_place(tool: Tool, entry: MountEntry) -> None:
    every = now(tool.entries.every())
    written = [each for each in every if each.path != entry.path]
    new = attrs.evolve(entry, origin=STATE)
    configured = tool.configured()
    for left, why in chosen(configured, [*written, new])[1]:
        if left is not new:
            continue
        if why != OVERRULED:
            raise OneLine(f"{entry.path}: {why}")
        (there,) = (each for each in configured if each.path == entry.path)
        raise OneLine(
            f"{there.origin}: {shown_uri(there.uri)} is mounted at {entry.path} already; "
            "what the configuration says is changed there"
        )


def _kept(state: IState, bucket: str) -> list[str]:
    """What is kept of a bucket."""
    held = bucket and state.glance(f"bucket/{bucket}")
    if not held:
        return []
    try:
        kept = json.loads(held.value)
    except ValueError:
        return ["settings"]
    return [name for name in SETTINGS if kept.get(name)]


def _await(tool: Tool, path: str, revision: str) -> None:
    """
    Wait until the daemon has what was written, and tell what became of it.

    :param revision: of what was written; empty if it was removed.
    """
    live = tool.live(path)
    if live is None:
        click.echo(
            f"No daemon listens at {tool.daemon.path}: what was written counts when "
            "one starts.",
            err=True,
        )
        return
    for each in live:
        if each["path"] != path:
            continue
        if each["origin"] != STATE:
            if not revision:
                break
            raise OneLine(f"the daemon has {each['uri']} at {path} already")
        if each["revision"] == revision:
            if each["wrong"]:
                click.echo(f"{path} is {state_of(each)}", err=True)
            else:
                click.echo(f"{path} is mounted.", err=True)
            return
        raise OneLine(f"somebody else has changed {path} meanwhile")
    if revision:
        raise OneLine(
            f"the daemon at {tool.daemon.path} has other mounts: is "
            "alluxio.tw.data.dir the same?"
        )
    click.echo(f"{path} is not mounted any more.", err=True)
