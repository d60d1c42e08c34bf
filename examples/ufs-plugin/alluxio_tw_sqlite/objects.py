"""
Rows of objects; called in threads.
"""

from __future__ import annotations

import sqlite3

from alluxio_tw.errors import NoSuchPath
from alluxio_tw.iobjects import Demand, Status
from alluxio_tw.ufs.demands import demanded
from alluxio_tw_sqlite.database import Database


def find(database: Database, key: str) -> Status:
    """
    The current version of an object.

    :raises NoSuchPath: there is none.
    """
    with database.reading() as connection:
        row = connection.execute(
            "SELECT size, version, etag, modified FROM objects WHERE key = ?", (key,)
        ).fetchone()
    if row is None:
        raise NoSuchPath()
    return told(database, *row)


def told(
    database: Database, size: int, version: int, etag: str, modified: int
) -> Status:
    """A row, as the gateway knows it."""
    return Status(size, f"{database.identity}.{version}", etag, modified)


def number(status: Status) -> int:
    """The version's number in the file."""
    return int(status.version.rpartition(".")[2])


def judge(connection: sqlite3.Connection, key: str, demand: Demand) -> int | None:
    """
    Which version is there, in the transaction that will replace it.

    :raises PreconditionFailed: it is not the one that is demanded.
    """
    row = connection.execute(
        "SELECT version, etag FROM objects WHERE key = ?", (key,)
    ).fetchone()
    demanded(demand, None if row is None else row[1])
    return None if row is None else int(row[0])


def remove(database: Database, key: str, demand: Demand) -> bool:
    """Delete an object; whether there was one."""
    with database.writing() as connection:
        version = judge(connection, key, demand)
        if version is None:
            return False
        connection.execute("DELETE FROM objects WHERE key = ?", (key,))
        connection.execute("DELETE FROM pieces WHERE version = ?", (version,))
        return True


def sweep(database: Database, alive: set[int], before: float) -> int:
    """
    Forget drafts whose writers died.

    :param alive: drafts whose writers are known to live.
    :param before: seconds since the epoch: those that were begun earlier.
    """
    with database.writing() as connection:
        old = connection.execute(
            "SELECT version FROM drafts WHERE begun < ?", (before,)
        ).fetchall()
        dead = [row for row in old if row[0] not in alive]
        connection.executemany("DELETE FROM drafts WHERE version = ?", dead)
        connection.executemany("DELETE FROM pieces WHERE version = ?", dead)
        return len(dead)
