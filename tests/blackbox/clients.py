"""
The clients that users have: those of PyPI, and curl.

One that is missing skips its tests; where C{CI=true} it fails them.
"""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from typing import Any
from unittest import SkipTest

from tests.blackbox.daemon import Daemon, surroundings

USER = "tester"
REGION = "us-east-1"

_made: dict[str, Any] = {}


def absent(what: str) -> Exception:
    """What to raise when a client is not there."""
    if os.environ.get("CI") == "true":
        return AssertionError(f"{what} is not installed, and this is CI")
    return SkipTest(f"{what} is not installed")


def module(name: str) -> Any:
    """
    A client that is a Python package.

    :raises SkipTest: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise absent(name) from error


def command(name: str) -> str:
    """
    The path of a client that is a command.

    :raises SkipTest: it is not installed.
    """
    beside = os.path.join(os.path.dirname(sys.executable), name)
    found = beside if os.path.exists(beside) else shutil.which(name)
    if found is None:
        raise absent(name)
    return found


def boto3_client(
    daemon: Daemon, secure: bool = False, user: str = USER, **config: Any
) -> Any:
    """A boto3 client that asks once, and does not wait for ever."""
    boto3 = module("boto3")
    from botocore.config import Config

    # Making one takes as long as some tests.
    memo = f"{daemon.pid} {secure} {user} {config}"
    if memo in _made:
        return _made[memo]
    options: dict[str, Any] = {
        "retries": {"total_max_attempts": 1, "mode": "standard"},
        "connect_timeout": 20,
        "read_timeout": 120,
        "s3": {"addressing_style": "path"},
        "max_pool_connections": 32,
    }
    options.update(config)
    # A session of its own: the default one is not made for several threads, and
    # reads what the user of this machine has configured.
    session = boto3.session.Session(
        aws_access_key_id=user,
        aws_secret_access_key="anything",
        region_name=REGION,
    )
    client = _made[memo] = session.client(
        "s3",
        endpoint_url=daemon.secure_url if secure else daemon.url,
        verify=authority(daemon) if secure else None,
        config=Config(**options),
    )
    return client


def authority(daemon: Daemon) -> str:
    """The path of what is to be trusted when talking to a daemon."""
    assert daemon.authority is not None
    return daemon.authority.path


def environment(daemon: Daemon, secure: bool = False) -> dict[str, str]:
    """What makes the AWS SDKs and their tools talk to a daemon."""
    found = surroundings(
        {
            "AWS_ACCESS_KEY_ID": USER,
            "AWS_SECRET_ACCESS_KEY": "anything",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": daemon.secure_url if secure else daemon.url,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_PAGER": "",
            "LC_ALL": "C.UTF-8",
            "HOME": daemon.folder,
        }
    )
    if secure:
        found["AWS_CA_BUNDLE"] = authority(daemon)
    return found


def run(
    words: list[str],
    environment: Mapping[str, str] | None = None,
    data: bytes | None = None,
    seconds: float = 300.0,
) -> str:
    """
    Run a command to its end.

    :param data: for its standard input.
    :return: its standard output.
    :raises AssertionError: it failed.
    """
    ended = subprocess.run(
        words,
        input=data if data is not None else b"",
        capture_output=True,
        env=dict(environment) if environment is not None else surroundings(),
        timeout=seconds,
        check=False,
    )
    if ended.returncode:
        raise AssertionError(
            f"{words} ended with {ended.returncode}:\n"
            f"{ended.stdout.decode(errors='replace')[-4000:]}\n"
            f"{ended.stderr.decode(errors='replace')[-4000:]}"
        )
    return ended.stdout.decode("utf-8", "surrogateescape")
