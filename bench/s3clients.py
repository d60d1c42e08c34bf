"""
Load from real S3 clients: boto3, in threads, in processes.

Runs as a process of its own: C{python -m bench.s3clients SPECIFICATION}.  What
it measures of latency and throughput is mostly boto3; what the server spends on
each request, with all that boto3 sends, is what it is for.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import threading
import time
from typing import Any

import boto3
from botocore.config import Config

from bench.reader import quantile


def main(specification: str) -> None:
    """
    Get or put objects from C{processes} processes, C{threads} threads each.
    """
    with open(specification) as file:
        given = json.load(file)
    context = multiprocessing.get_context("spawn")
    with context.Pool(given["processes"]) as pool:
        parts = pool.map(work, [given] * given["processes"], 1)
    latencies = sorted(each for part in parts for each in part["latencies"])
    print(
        json.dumps(
            {
                "count": len(latencies),
                "bytes": sum(part["bytes"] for part in parts),
                "seconds": max(part["seconds"] for part in parts),
                "p50": quantile(latencies, 0.5),
                "p99": quantile(latencies, 0.99),
                "errors": sum(part["errors"] for part in parts),
            }
        )
    )


def work(given: dict[str, Any]) -> dict[str, Any]:
    """What one process does."""
    latencies: list[float] = []
    moved: list[int] = []
    errors: list[str] = []
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=f"{given['scheme']}://127.0.0.1:{given['port']}",
        aws_access_key_id="bench",
        aws_secret_access_key="secret",
        region_name="us-east-1",
        verify=given["certificate"],
        config=Config(
            max_pool_connections=given["threads"],
            retries={"max_attempts": 1},
            s3={"addressing_style": "path"},
        ),
    )
    body = os.urandom(given["size"])
    began = time.perf_counter()
    end = began + given["seconds"]

    def run(first: int) -> None:
        number = first
        while (since := time.perf_counter()) < end:
            key = given["keys"][number % len(given["keys"])]
            number += 1
            try:
                if given["method"] == "PUT":
                    client.put_object(Bucket=given["bucket"], Key=key, Body=body)
                    moved.append(len(body))
                else:
                    answer = client.get_object(Bucket=given["bucket"], Key=key)
                    moved.append(len(answer["Body"].read()))
            except Exception as error:
                errors.append(repr(error))
                if len(errors) > 20:
                    return
            else:
                latencies.append(time.perf_counter() - since)

    first = os.getpid()
    threads = [
        threading.Thread(target=run, args=(first + each,))
        for each in range(given["threads"])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        print(errors[0], file=sys.stderr)
    return {
        "latencies": latencies,
        "bytes": sum(moved),
        "seconds": time.perf_counter() - began,
        "errors": len(errors),
    }


if __name__ == "__main__":
    main(sys.argv[1])
