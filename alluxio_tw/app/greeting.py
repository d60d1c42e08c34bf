"""
What the daemon says at its start: where it is, what there is, and what to try.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.logger import Logger

from alluxio_tw.app.assembly import Worker
from alluxio_tw.errors import GatewayError, StorageUnavailable
from alluxio_tw.namespace.mount import Mount
from alluxio_tw.namespace.options import shown_uri
from alluxio_tw.namespace.policies import IMMUTABLE, MAX_AGE
from alluxio_tw.quantities import duration_text

SHOWN = 10
"""How many buckets are named."""


async def greet(
    log: Logger, worker: Worker, addresses: Sequence[str], admin: str
) -> None:
    """
    Say it.

    :param addresses: URLs of the edges for S3.
    :param admin: the URL of metrics and health.
    """
    for url in addresses:
        log.info("S3 at {url}", url=url)
    log.info("metrics and health at {url}", url=admin)
    # What is broken is told by who finds it so.
    broken = await worker.check()
    for mount in worker.mounts.mounts:
        if not broken.get(mount.path):
            log.info("mounted {mount}", mount=mounted(mount))
    try:
        if broken.get("/"):
            # A storage that does not answer would keep us waiting.
            raise StorageUnavailable()
        names = [bucket.name for bucket in await worker.gateway.buckets.all()]
    except GatewayError as error:
        log.warn("the buckets cannot be listed: {why}", why=error.message)
        return
    keys = worker.gateway.keys
    if keys is not None and not keys.written and not await keys.every():
        log.warn(
            "signatures are checked and there are no access keys: nobody is let in; "
            "make one: alluxio-s3 key add USER"
        )
    shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    log.info("buckets: {names}", names=shown or "none yet")
    well = [name for name in names if not broken.get(f"/{name}")]
    if addresses:
        log.info(
            "try: AWS_ACCESS_KEY_ID={key} AWS_SECRET_ACCESS_KEY={secret} "
            "aws --endpoint-url {url} --region {region} s3 ls{bucket}",
            key="me" if keys is None else "ACCESS_KEY",
            secret="any" if keys is None else "SECRET",
            url=addresses[0],
            region=worker.config.s3.region,
            bucket=f" s3://{well[0]}" if well else "",
        )


def mounted(mount: Mount) -> str:
    """A mount in a few words, without its secrets."""
    policy = mount.policy
    words = []
    if mount.read_only:
        words.append("read-only")
    if not policy.cached:
        words.append("not cached")
    elif policy.freshness == IMMUTABLE:
        words.append("cached, immutable")
    elif policy.freshness == MAX_AGE:
        words.append(f"cached, max-age {duration_text(policy.max_age)}")
    else:
        words.append("cached, always asked whether it changed")
    return f"{mount.path} from {shown_uri(mount.uri)} ({', '.join(words)})"
