"""How old is the newest picture that a player can have? Sampled over time, not over arrivals."""

import asyncio
import threading
import time
import urllib.parse
from pathlib import Path

from publisher import Publisher
from servers import Stream
from viewer import Connection, LowLatencyViewer

SETTLE_S = 8
FPS = 30


def measure(stream: Stream, clip: Path, seconds: float, low_latency: bool) -> dict:
    """p50 and p95 of the age, in seconds, sampled every 5 ms; and how old a picture was when it arrived."""
    publisher = Publisher(stream.publish, clip, SETTLE_S + seconds)
    publishing = threading.Thread(target=publisher.run)
    arrivals: list[tuple[float, float]] = []
    publishing.start()
    began = time.monotonic()
    follow = follow_parts if low_latency else follow_segments
    asyncio.run(follow(stream.playlist, SETTLE_S + seconds - 0.5, arrivals))
    publishing.join()
    publisher.close()
    # Media that ends at e seconds holds pictures 0..e*FPS; the newest of them was sent at sent_at[e*FPS - 1].
    fresh = sorted((at, publisher.sent_at[min(round(end * FPS), len(publisher.sent_at)) - 1]) for end, at in arrivals if end > 0)
    ages, on_arrival = [], [at - sent for at, sent in fresh if at > began + SETTLE_S]
    now, newest, index = began + SETTLE_S, None, 0
    while now < began + SETTLE_S + seconds - 1:
        while index < len(fresh) and fresh[index][0] <= now:
            newest = max(newest or 0, fresh[index][1])
            index += 1
        if newest is not None:
            ages.append(now - newest)
        now += 0.005
    if not ages or not on_arrival:
        raise RuntimeError(f"nothing arrived from {stream.playlist}")
    ages.sort()
    on_arrival.sort()
    return {"p50": ages[len(ages) // 2], "p95": ages[len(ages) * 95 // 100], "on_arrival_p50": on_arrival[len(on_arrival) // 2]}


async def follow_parts(playlist: str, seconds: float, arrivals: list) -> None:
    viewer = LowLatencyViewer(playlist)
    viewer.on_part = lambda end, at: arrivals.append((end, at))
    await viewer.run(seconds)


async def follow_segments(playlist: str, seconds: float, arrivals: list) -> None:
    """A player without low latency that polls every 50 ms, faster than any would."""
    parts = urllib.parse.urlsplit(playlist)
    connection = Connection(parts.hostname, parts.port)
    until, ends = time.monotonic() + seconds, {}
    while time.monotonic() < until:
        status, body = await connection.get(parts.path)
        if status == 200:
            text = body.decode()
            msn, duration = None, 0.0
            for line in text.splitlines():
                if line.startswith("#EXT-X-MEDIA-SEQUENCE:"):
                    msn = int(line.partition(":")[2])
                elif line.startswith("#EXTINF:"):
                    duration = float(line[8:].split(",")[0])
                elif line and not line.startswith("#") and msn is not None:
                    if msn not in ends:
                        ends[msn] = ends.get(msn - 1, 0.0) + duration
                        fetched, _ = await connection.get(urllib.parse.urljoin(parts.path, line))
                        if fetched == 200:
                            arrivals.append((ends[msn], time.monotonic()))
                    msn += 1
        await asyncio.sleep(0.05)
