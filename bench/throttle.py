"""
A proxy that gives each connection so many bytes a second, as many storages do.

    python -m bench.throttle PORT TARGET RATE

Runs as a process of its own; what clients send passes unhindered.
"""

from __future__ import annotations

import asyncio
import sys
import time

PIECE = 64 << 10


async def up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """From the client, as it comes."""
    try:
        while data := await reader.read(PIECE):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def down(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rate: int
) -> None:
    """To the client, no faster than C{rate} bytes a second."""
    free = time.monotonic()
    try:
        while data := await reader.read(PIECE):
            now = time.monotonic()
            # Who was idle may not make up for it.
            free = max(free, now - PIECE / rate) + len(data) / rate
            writer.write(data)
            await writer.drain()
            if free > now:
                await asyncio.sleep(free - now)
    except ConnectionError:
        pass
    finally:
        writer.close()


async def serve(port: int, target: int, rate: int) -> None:
    """Listen for ever."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", target)
        await asyncio.gather(up(reader, back), down(there, writer, rate))

    server = await asyncio.start_server(talk, "127.0.0.1", port, limit=2 * PIECE)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(*map(int, sys.argv[1:4])))
