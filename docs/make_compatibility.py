"""
Makes C{s3-compatibility.md} from the routing table, the table of what serves each
operation, and L{compatibility_facts}.

Run it in the root of the project after changing any of them; a test says whether it
was run, and whether the tests that it names are there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

import compatibility_facts as facts  # noqa: E402

from alluxio_tw.s3.routing import OPERATIONS as ROUTES  # noqa: E402
from alluxio_tw.web.operations import OPERATIONS as SERVED  # noqa: E402

DOCUMENT = os.path.join(HERE, "s3-compatibility.md")

SYSTEMS = ("Alluxio", "AIStore", "MinIO", "Ceph RGW")
WORDS = {"y": facts.YES, "p": facts.PARTLY, "-": facts.NO, "?": facts.UNKNOWN}

OPENING = """\
# S3 compatibility

What an S3 client may ask, and what comes of it here and elsewhere. This page is made by `docs/make_compatibility.py` from the table by which requests are
routed, the table of what serves them, and the tests named in the last column; it is not written by hand.

| word | meaning |
| --- | --- |
| yes | as the S3 API reference has it |
| partly | with what the note says |
| 501 | routed, refused with `NotImplemented`, and nothing is touched |
| no | of others: not there, or not as S3 has it at all |
| ? | of others: not verified |

What is said of others comes from their own documents and source, as of August 2026: Alluxio's page "S3 API", AIStore 5.0, MinIO's page "S3 API
Compatibility" and the headers that its source knows, Ceph's page "Object Gateway S3 API" with the tests that its developers run.

What every answer has: `x-amz-request-id`, `x-amz-id-2` and `Date`; errors have Code, Message, Resource, RequestId and HostId, and what AWS adds per code.
Limits, and how to change them: [configuration.md](configuration.md). Who may do what: [access.md](access.md).
A `file:` mount holds every key of which no part between slashes has more than 255 bytes; what it refuses is refused with 400. How it holds `a` beside `a/b`: [adr/0006](adr/0006-keys-that-are-files-and-folders.md).
"""


def here(row: facts.Row, served: bool) -> str:
    """What a row says of us."""
    if row.refused or not served:
        return "501"
    return facts.PARTLY if row.partly else facts.YES


def table(rows: Iterable[tuple[facts.Row, bool]], what: str) -> Iterator[str]:
    """The lines of a table."""
    yield f"| {what} | here | {' | '.join(SYSTEMS)} | how | shown by |"
    yield "| --- " * (len(SYSTEMS) + 4) + "|"
    for row, served in rows:
        cells = [
            "<br>".join(
                f"`{name}`" if what != "operation" else name for name in row.names
            ),
            here(row, served),
            *(WORDS[mark] for mark in row.others),
            row.note,
            "<br>".join(f"`{test}`" for test in row.tests),
        ]
        yield "| " + " | ".join(cells) + " |"


def operations() -> Iterator[tuple[facts.Row, bool]]:
    """The operations, each with whether it is served: those that are come first."""
    served = [
        (row, all(name in SERVED for name in row.names)) for row in facts.OPERATIONS
    ]
    return iter(sorted(served, key=lambda each: not each[1]))


def tests_of(row: facts.Row) -> tuple[str, ...]:
    """The tests that show a row; of what is not built, one shows all."""
    return row.tests or (facts.UNBUILT + "test_unbuilt",)


def document() -> str:
    """The whole page."""
    rows = [(row._replace(tests=tests_of(row)), served) for row, served in operations()]
    count = sum(len(row.names) for row, served in rows if served)
    parts = [
        OPENING,
        f"## Operations\n\n{count} of {len(ROUTES)} are served.\n",
        "\n".join(table(rows, "operation")),
        "\n## Headers\n",
        "\n".join(table(((row, True) for row in facts.HEADERS), "header")),
        "\n## Query parameters\n",
        "\n".join(table(((row, True) for row in facts.PARAMETERS), "parameter")),
        "\n## Addresses\n",
        "\n".join(table(((row, True) for row in facts.ADDRESSES), "URL")),
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    with open(DOCUMENT, "w", encoding="utf-8") as file:
        file.write(document())
