"""
MinIO, another real S3 server, as the storage behind the daemon.

Unlike versitygw it reads what it serves: it compares each block with a checksum.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from bench.servers import Server, free_ports
from bench.versity import ACCESS_KEY, REGION, SECRET_KEY

INSTALL = (
    "go install github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c "
    "(some minutes)"
)


def minio(home: Path) -> Server:
    """
    Start MinIO on one folder.

    :raises SystemExit: it is not installed.
    """
    found = os.environ.get("MINIO") or shutil.which("minio")
    if found is None:
        found = os.path.join(
            os.environ.get("GOPATH") or os.path.expanduser("~/go"), "bin", "minio"
        )
    if not os.access(found, os.X_OK):
        sys.exit(f"minio is not installed: {INSTALL}")
    (port,) = free_ports(1)
    data = home / "minio"
    data.mkdir()
    surroundings = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    surroundings |= {
        "MINIO_ROOT_USER": ACCESS_KEY,
        "MINIO_ROOT_PASSWORD": SECRET_KEY,
        "MINIO_REGION": REGION,
        "MINIO_BROWSER": "off",
        "MINIO_UPDATE": "off",
    }
    log = home / "minio.log"
    with open(log, "wb") as out:
        process = subprocess.Popen(
            [found, "server", "--quiet", "--address", f"127.0.0.1:{port}", str(data)],
            cwd=home,
            env=surroundings,
            stdout=out,
            stderr=out,
        )
    return Server("direct", port, 0, process, log)
