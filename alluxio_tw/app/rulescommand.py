"""
The commands C{alluxio-s3 rules}: which rule applies, and whether a file can be used.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import click
from prometheus_client import CollectorRegistry
from twisted.internet.task import Clock

from alluxio_tw.app.config import Config
from alluxio_tw.app.console import Group, configured, loaded, show
from alluxio_tw.app.control import ControlClient, DaemonAway
from alluxio_tw.app.storage import make_mount, rule_bounds, worth, written_mounts
from alluxio_tw.errors import GatewayError
from alluxio_tw.metrics import Metrics
from alluxio_tw.namespace.entries import chosen
from alluxio_tw.namespace.explanation import explain
from alluxio_tw.namespace.mount import Mount
from alluxio_tw.namespace.mounts import MountTable
from alluxio_tw.namespace.rulesfile import read_file
from alluxio_tw.threads import NoThreads

ANSWER_SECONDS = 30.0


@click.group(cls=Group)
def rules() -> None:
    """Say what is kept of an object and why, or check a file of rules."""


@rules.command("explain")
@configured
@click.option("--json", "as_json", is_flag=True, help="As a JSON document.")
@click.argument("path")
def explain_path(
    file: str | None,
    definitions: Sequence[str],
    mounts: Sequence[str],
    as_json: bool,
    path: str,
) -> None:
    """
    Say which rules match PATH, which is /bucket/key, and what is kept of it, and who
    says so. The running daemon is asked; without one the configuration answers.
    """
    config = loaded(file, definitions, mounts)
    try:
        found = ControlClient.of(config).get("/v1/rules", ANSWER_SECONDS, path=path)
    except DaemonAway:
        click.echo("Note: no daemon runs; this is what one would do.", err=True)
        found = _without_daemon(config, path)
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    _tell(found)


@rules.command()
@configured
@click.argument("name", metavar="FILE")
def check(
    file: str | None, definitions: Sequence[str], mounts: Sequence[str], name: str
) -> None:
    """
    Check whether FILE can be used as the file of rules, with the page store as it is
    configured.
    """
    config = loaded(file, definitions, mounts)
    _, found = read_file(name, rule_bounds(config))
    patterns = len({rule.pattern for rule in found.rules})
    click.echo(f"{name}: well: {len(found.rules)} rules, {patterns} patterns")


def _without_daemon(config: Config, path: str) -> Any:
    """What a daemon with this configuration would answer."""
    clock, threads = Clock(), NoThreads()
    metrics = Metrics(CollectorRegistry(), process=False)
    there = os.path.exists(config.data.state_folder)
    written = written_mounts(config, clock) if there else []
    entries, _ = chosen([point.entry for point in config.mounts], written)
    made: list[Mount] = []
    try:
        for entry in entries.values():
            try:
                made.append(make_mount(entry, clock, threads, metrics))
            except GatewayError as error:
                # The embedded root is made when a daemon starts.
                if not entry.fallback:
                    click.echo(f"Warning: {error.message}", err=True)
        table = MountTable.of(made, clock)
        if config.rules.path:
            _, table.rules = read_file(config.rules.path, rule_bounds(config))
        return explain(table, path, worth(config)).document()
    finally:
        for mount in made:
            mount.ufs.close()


def _tell(found: Any) -> None:
    click.echo(f"{found['path']} is in {found['mount']}")
    matching = found["rules"]
    if not matching:
        click.echo("No rule matches.")
    for each in matching:
        click.echo(f"It matches {each['origin']}: {each['pattern']}")
    show(
        ["Policy", "Value", "Who says so"],
        [(each["name"], each["value"], each["origin"]) for each in found["policy"]],
    )
