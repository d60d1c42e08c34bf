"""
The commands C{alluxio-s3 load}, C{stat} and C{free}: what is cached, by way of the
running daemon.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import click

from alluxio_tw.app.console import OneLine, configured, loaded, show
from alluxio_tw.app.control import ControlClient, DaemonAway
from alluxio_tw.app.loadprogress import (
    conclude,
    follow,
    in_words,
    printable,
    readable,
    table,
)
from alluxio_tw.errors import GatewayError
from alluxio_tw.quantities import duration_text
from alluxio_tw.s3.dates import iso8601

SECONDS = 60.0
"""How long an answer may take that needs no storage."""

INTERRUPTED = 130

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def asking(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the daemon that is configured so."""

    @configured
    @wraps(command)
    def run(
        file: str | None,
        definitions: Sequence[str],
        mounts: Sequence[str],
        **rest: Any,
    ) -> None:
        client = ControlClient.of(loaded(file, definitions, mounts))
        try:
            command(client, **rest)
        except GatewayError as error:
            raise OneLine(error.message) from error

    return run


# --- load ---------------------------------------------------------------------------


@click.command()
@click.argument("path", required=False)
@click.option(
    "--bandwidth", metavar="SIZE", default="0", help="At most so much a second: 100MB."
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 64),
    default=4,
    show_default=True,
    help="Reads of the storage at a time.",
)
@click.option(
    "--verify",
    is_flag=True,
    help="Read what is cached and compare it with checksum or ETag.",
)
@click.option(
    "--skip-if-exists",
    is_flag=True,
    help="Ask nothing about objects whose listed version is cached whole.",
)
@click.option("--metadata-only", is_flag=True, help="Fetch records, and no bytes.")
@click.option(
    "--partial-listing",
    is_flag=True,
    help="Begin at once, without counting first how much there is.",
)
@click.option(
    "--anew", is_flag=True, help="Begin at the beginning, though one was stopped."
)
@click.option("--submit", is_flag=True, help="Begin, and do not wait.")
@click.option(
    "--progress",
    is_flag=True,
    help="Say how far the load has come; without PATH, all loads.",
)
@click.option("--stop", is_flag=True, help="Stop the load.")
@click.option("--verbose", is_flag=True, help="Name up to 100 failures, not 20.")
@as_json
@asking
def load(
    client: ControlClient,
    path: str | None,
    submit: bool,
    progress: bool,
    stop: bool,
    verbose: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """
    Load PATH into the cache: /bucket, /bucket/folder/ or /bucket/key.

    What was interrupted goes on where it was when the same is asked for again.
    """
    if submit + progress + stop > 1:
        raise OneLine("--submit, --progress and --stop go one at a time")
    if progress and path is None:
        loads = client.get("/v1/load", SECONDS)["loads"]
        if as_json:
            click.echo(json.dumps(loads))
        else:
            table(loads)
        return
    if path is None:
        raise OneLine("say what to load: /bucket, /bucket/folder/ or /bucket/key")
    if progress:
        found = client.get("/v1/load", SECONDS, path=path)
    elif stop:
        found = client.post("/v1/load", SECONDS, path=path, opType="stop")
    else:
        found = client.post("/v1/load", SECONDS, path=path, **options)
        if not submit:
            _follow(client, path, found, as_json, verbose)
            return
    if as_json:
        click.echo(json.dumps(found))
    elif found["state"] == "RUNNING":
        click.echo(f"{found['path']}: RUNNING: {in_words(found)}")
    else:
        conclude(found, verbose)
    if progress and found["state"] == "FAILED":
        raise SystemExit(1)


def _follow(
    client: ControlClient, path: str, found: Any, as_json: bool, verbose: bool
) -> None:
    if found["position"] and not as_json:
        click.echo(f"Going on after {found['position']!r}", err=True)
    try:
        found = follow(
            found, lambda: client.get("/v1/load", SECONDS, path=path), as_json
        )
    except KeyboardInterrupt:
        found = client.post("/v1/load", SECONDS, path=path, opType="stop")
        click.echo(
            f"Stopped: {in_words(found)}. The same command goes on from there.",
            err=True,
        )
        raise SystemExit(INTERRUPTED) from None
    except DaemonAway as error:
        raise OneLine(
            "The daemon went away. Started again it goes on with the load; the same "
            "command shows it."
        ) from error
    if not as_json:
        conclude(found, verbose)
    if found["state"] != "SUCCEEDED":
        raise SystemExit(1)


# --- stat ---------------------------------------------------------------------------


@click.command()
@click.argument("path")
@as_json
@asking
def stat(client: ControlClient, path: str, as_json: bool) -> None:
    """Say what is cached of PATH: /bucket, /bucket/folder/ or /bucket/key."""
    found = client.get("/v1/stat", path=path)
    if as_json:
        click.echo(json.dumps(found))
    elif found["kind"] == "object":
        show(["", path], _object_rows(found))
    else:
        show(["", found["path"]], _folder_rows(found))


def _object_rows(found: Any) -> list[tuple[str, str]]:
    rows = [
        ("size", f"{found['size']} ({readable(found['size'])})"),
        ("ETag", printable(found["etag"])),
        ("version", printable(found["version"])),
        ("modified", iso8601(int(found["modified"] * 1e9))),
        ("mount", found["mount"]),
        ("policy", _policy(found)),
    ]
    if not found["cached"]:
        return rows
    pages = f"{found['cached_pages']} of {found['pages']}"
    rows.append(("cached", f"{pages} pages, {readable(found['cached_bytes'])}"))
    rows += [(f"in {name}", f"{count} pages") for name, count in found["tiers"].items()]
    validated = found["validated"]
    rows.append(
        ("validated", iso8601(int(validated * 1e9)) if validated else "not yet")
    )
    left = found["fresh_seconds"]
    fresh = "for ever" if left is None else f"for {duration_text(round(left))}"
    rows.append(("fresh", fresh if found["fresh"] else "no: asked at next use"))
    return rows


def _folder_rows(found: Any) -> list[tuple[str, str]]:
    rows = [
        ("objects", str(found["objects"])),
        ("bytes", f"{found['bytes']} ({readable(found['bytes'])})"),
        ("cached", f"{found['cached_bytes']} ({readable(found['cached_bytes'])})"),
        ("percent", f"{found['percent']:.1f}"),
        ("objects cached whole", str(found["cached_objects"])),
        ("objects cached in part", str(found["partly_cached_objects"])),
    ]
    rows += [("not cached", f"mount {path}") for path in found["uncached_mounts"]]
    return rows


def _policy(found: Any) -> str:
    if not found["cached"]:
        return "not cached"
    text = str(found["freshness"])
    if text == "max-age":
        text += f" {duration_text(found['max_age'])}"
    if not found["keeps_pages"]:
        text += ", no pages are kept"
    if found["stale_if_error"]:
        text += f", stale-if-error {duration_text(found['stale_if_error'])}"
    return text


# --- free ---------------------------------------------------------------------------


@click.command()
@click.argument("path")
@click.option(
    "--metadata-only",
    is_flag=True,
    help="Keep the pages: the storage is asked which version is current.",
)
@as_json
@asking
def free(client: ControlClient, path: str, metadata_only: bool, as_json: bool) -> None:
    """
    Give up what is cached of PATH: /bucket, /bucket/folder/ or /bucket/key.

    The next read is of what the storage has by then, whatever the policy.
    """
    found = client.post("/v1/free", path=path, metadata_only=metadata_only)
    if as_json:
        click.echo(json.dumps(found))
        return
    text = f"{found['path']}: {found['objects']} objects forgotten"
    if not metadata_only:
        text += f", {readable(found['bytes'])} freed"
    click.echo(text)
    for mount in found["uncached_mounts"]:
        click.echo(f"Note: the mount {mount} is not cached.", err=True)
