"""
The twistd plugin: C{twistd alluxio-s3 run}.

The only module that imports the reactor.
"""

from __future__ import annotations

import os
import sys
from typing import Any, ClassVar

from twisted.application.service import IService
from twisted.internet import reactor as _reactor
from twisted.python import usage

from alluxio_tw.app.config import load
from alluxio_tw.app.daemon import Daemon
from alluxio_tw.errors import WrongConfiguration


class RunOptions(usage.Options):
    """
    What C{run} may be told.
    """

    longdesc = "Serve S3. With no options: an embedded bucket on 127.0.0.1:29998."
    optParameters: ClassVar[list[list[Any]]] = [
        ["config", "c", None, "A .properties file."],
    ]

    def __init__(self) -> None:
        super().__init__()
        self.definitions: list[str] = []
        self.mounts: list[str] = []

    def opt_define(self, definition: str) -> None:
        """Set a property: name=value; may be given more than once."""
        self.definitions.append(definition)

    opt_D = opt_define

    def opt_mount(self, mount: str) -> None:
        """Mount storage: BUCKET=URI, or /=URI for the root; may be given more than once."""
        self.mounts.append(mount)


class Options(usage.Options):
    """
    What C{twistd alluxio-s3} may be told.
    """

    synopsis = "[twistd options] alluxio-s3 run [options]"
    subCommands: ClassVar[list[Any]] = [
        ["run", None, RunOptions, "Serve S3 until told to stop."],
    ]

    def postOptions(self) -> None:
        """There must be a command."""
        if self.subCommand is None:
            raise usage.UsageError("say what to do: twistd -n alluxio-s3 run")


def makeService(options: Options) -> IService:
    """
    Read the configuration and make the daemon.

    What is wrong with the configuration is said in one line, and ends the
    process before it becomes a daemon.
    """
    run: Any = options.subOptions
    twistd: Any = options.parent or {}
    try:
        config = load(
            run["config"], run.definitions, run.mounts, environment=os.environ
        )
        daemon = Daemon(
            config,
            _reactor,
            detached=not twistd.get("nodaemon", True),
            log_path=twistd.get("logfile") or "",
        )
        daemon.probe()
    except WrongConfiguration as error:
        sys.exit(f"alluxio-s3: {error.message}")
    service: IService = daemon
    return service
