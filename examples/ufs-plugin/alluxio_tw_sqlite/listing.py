"""
Pages of listings; called in threads.

SQLite compares text by its UTF-8 bytes, which is the order that S3 lists in.
"""

from __future__ import annotations

import sqlite3

from alluxio_tw.iobjects import Entry, Listing
from alluxio_tw.iufs import ListQuery
from alluxio_tw_sqlite.database import Database

HIDDEN = ".alluxio-tw"
"""What names begin with that the gateway keeps for itself."""

ROWS = 100
"""How many rows are read at a time: after a folded prefix the rest is of no use."""


def page(database: Database, query: ListQuery) -> Listing:
    """One page, in memory bounded by C{query.limit}."""
    entries: list[Entry] = []
    prefixes: list[str] = []
    last: str | None = None
    with database.reading() as connection:
        start = first(query)
        while rows := rows_from(connection, start):
            for key, size, etag, modified in rows:
                if not key.startswith(query.prefix):
                    return Listing(entries, prefixes, None)
                start = key + "\0"
                if key.startswith(HIDDEN) and not query.prefix.startswith(HIDDEN):
                    start = past(HIDDEN)
                    break
                if len(entries) + len(prefixes) == query.limit:
                    return Listing(entries, prefixes, last)
                slash = key.find("/", len(query.prefix)) if query.fold else -1
                if slash >= 0:
                    last = key[: slash + 1]
                    prefixes.append(last)
                    start = past(last)
                    break
                entries.append(Entry(key, size, etag, modified))
                last = key
    return Listing(entries, prefixes, None)


def first(query: ListQuery) -> str:
    """The least key that may be in a page."""
    after = query.after
    if query.fold and after.endswith("/") and len(after) > len(query.prefix):
        start = past(after)
    else:
        start = after + "\0" if after else ""
    return max(start, query.prefix, key=str.encode)


def rows_from(
    connection: sqlite3.Connection, start: str
) -> list[tuple[str, int, str, int]]:
    """The next rows in order."""
    return connection.execute(
        "SELECT key, size, etag, modified FROM objects "
        "WHERE key >= ? ORDER BY key LIMIT ?",
        (start, ROWS),
    ).fetchall()


def past(prefix: str) -> str:
    """The least text greater than all that begin so; ours end in ASCII."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
