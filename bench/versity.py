"""
versitygw, a real S3 server, as the storage behind the daemon.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from bench.servers import PROJECT, Server, free_ports

ACCESS_KEY = "benchbench"
SECRET_KEY = "secretsecret"
REGION = "us-east-1"

INSTALL = "go install github.com/versity/versitygw/cmd/versitygw@v1.8.0"


def versitygw(home: Path) -> Server:
    """
    Start versitygw over a folder; it checks signatures.

    :raises SystemExit: it is not installed.
    """
    found = os.environ.get("VERSITYGW") or shutil.which("versitygw")
    if found is None:
        found = os.path.join(
            os.environ.get("GOPATH") or os.path.expanduser("~/go"), "bin", "versitygw"
        )
    if not os.access(found, os.X_OK):
        sys.exit(f"versitygw is not installed: {INSTALL}")
    (port,) = free_ports(1)
    data = home / "versitygw"
    data.mkdir()
    surroundings = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    log = home / "versitygw.log"
    with open(log, "wb") as out:
        process = subprocess.Popen(
            [
                found,
                "--port",
                f"127.0.0.1:{port}",
                "--access",
                ACCESS_KEY,
                "--secret",
                SECRET_KEY,
                "--region",
                REGION,
                "--keep-alive",
                "--quiet",
                "posix",
                str(data),
            ],
            cwd=home,
            env=surroundings,
            stdout=out,
            stderr=out,
        )
    return Server("direct", port, 0, process, log)


def limited(home: Path, server: Server, rate: int) -> Server:
    """
    Start L{bench.throttle} before a server: each connection gets so many bytes a
    second.
    """
    (port,) = free_ports(1)
    log = home / "throttle.log"
    with open(log, "wb") as out:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "bench.throttle",
                str(port),
                str(server.http),
                str(rate),
            ],
            cwd=PROJECT,
            stdout=out,
            stderr=out,
        )
    return Server("limited", port, 0, process, log)
