"""
Load from C{wrk}, for requests and replies that are small.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.servers import program

_SCRIPT = """
local function slurp(name)
  local file = io.open(name, "rb")
  local all = file:read("*a")
  file:close()
  return all
end
local heads, body, requests, at = slurp("%s"), slurp("%s"), {}, 1
while at <= #heads do
  local stop = heads:find("\\r\\n\\r\\n", at, true)
  requests[#requests + 1] = heads:sub(at, stop + 3) .. body
  at = stop + 4
end
local last = 0
request = function()
  last = last %% #requests + 1
  return requests[last]
end
done = function(summary, latency, _)
  local e = summary.errors
  io.stdout:write(string.format(
    '\\n{"count":%%d,"bytes":%%d,"seconds":%%f,"p50":%%f,"p99":%%f,"errors":%%d}\\n',
    summary.requests, summary.bytes, summary.duration / 1e6,
    latency:percentile(50) / 1e6, latency:percentile(99) / 1e6,
    e.status + e.connect + e.read + e.write + e.timeout))
end
"""


def command(
    home: Path,
    url: str,
    heads: Sequence[bytes],
    body: bytes,
    connections: int,
    seconds: float,
) -> list[str]:
    """Write what wrk needs into C{home}, and say how to run it."""
    (home / "heads").write_bytes(b"".join(heads))
    (home / "body").write_bytes(body)
    script = home / "wrk.lua"
    script.write_text(_SCRIPT % (home / "heads", home / "body"))
    return [
        program("wrk"),
        "--threads=1",
        f"--connections={connections}",
        f"--duration={max(1, round(seconds))}s",
        "--timeout=30s",
        f"--script={script}",
        url,
    ]


def said(output: bytes) -> dict[str, Any]:
    """
    The line of JSON that ends what a client prints.

    :raises RuntimeError: there is none.
    """
    for line in reversed(output.splitlines()):
        if line.startswith(b"{"):
            found: dict[str, Any] = json.loads(line)
            return found
    raise RuntimeError(output.decode(errors="replace")[-500:])
