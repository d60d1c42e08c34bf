"""
Random bytes for what reads targets, documents, tags, tokens and metadata.

Run from the repository's root: C{python -m tests.fuzz.s3_documents PARSER
[libFuzzer's options]}, where PARSER is one of those that it lists when it is
given none.  Nothing may come out but a value or an error of ours.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from alluxio_tw.errors import GatewayError
from alluxio_tw.s3.batches import parse_complete, parse_delete
from alluxio_tw.s3.configurations import (
    parse_access_control,
    parse_bucket_configuration,
    parse_cors,
    parse_tagging,
    parse_versioning,
)
from alluxio_tw.s3.dates import parse_http_date
from alluxio_tw.s3.listing import parse_list_objects, parse_token
from alluxio_tw.s3.metadata import parse_attributes, reply_headers
from alluxio_tw.s3.path import Addressing, parse_copy_source, parse_query, parse_target
from alluxio_tw.s3.routing import route
from alluxio_tw.s3.tags import parse_tagging as parse_tagging_header

HOSTED = Addressing(domains=("example.com",), prefix="/s3")


def _targets(data: bytes) -> None:
    host, _, raw = data.partition(b"\n")
    for addressing in (Addressing(), HOSTED):
        for method in (b"GET", b"PUT", b"POST", b"DELETE"):
            route(method, parse_target(raw, host, addressing))


def _listings(data: bytes) -> None:
    for v2 in (False, True):
        parse_list_objects(parse_query(data), v2).judge()


def _metadata(data: bytes) -> None:
    name, _, value = data.partition(b"\n")
    reply_headers(parse_attributes({b"x-amz-meta-" + name: value, name: value}))


PARSERS: dict[str, Callable[[bytes], object]] = {
    "acl": parse_access_control,
    "bucket": parse_bucket_configuration,
    "complete": parse_complete,
    "copy-source": parse_copy_source,
    "cors": parse_cors,
    "date": parse_http_date,
    "delete": parse_delete,
    "listing": _listings,
    "metadata": _metadata,
    "tagging": parse_tagging,
    "tagging-header": parse_tagging_header,
    "target": _targets,
    "token": lambda data: parse_token(data.decode("latin-1")),
    "versioning": parse_versioning,
}


def main() -> None:
    """Fuzz until told to stop."""
    if len(sys.argv) < 2 or sys.argv[1] not in PARSERS:
        sys.exit(f"which parser?  One of: {', '.join(PARSERS)}")
    parser = PARSERS[sys.argv.pop(1)]
    try:
        import atheris
    except ImportError:
        sys.exit("this needs atheris: pip install atheris")

    def try_one(data: bytes) -> None:
        try:
            parser(data)
        except GatewayError:
            pass

    atheris.instrument_all()
    atheris.Setup(sys.argv, try_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
