"""A player that follows a playlist, in the process of the encoder, so that both share a clock."""

import asyncio
import gzip
import re
import time
import urllib.parse

PART = re.compile(r'#EXT-X-PART:DURATION=([\d.]+),URI="([^"]+)"')


class Connection:
    """One keep-alive connection."""

    def __init__(self, host: str, port: int):
        self.host, self.port, self.pipe = host, port, None

    async def get(self, target: str) -> tuple[int, bytes]:
        if self.pipe is None:
            self.pipe = await asyncio.open_connection(self.host, self.port, limit=1 << 22)
        reader, writer = self.pipe
        writer.write(f"GET {target} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nAccept-Encoding: gzip\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status = int(head.split(" ", 2)[1])
        length = re.search(r"content-length: *(\d+)", head)
        if length:
            body = await reader.readexactly(int(length[1]))
        elif "transfer-encoding: chunked" in head:
            body = b""
            while size := int((await reader.readline()).strip() or b"0", 16):
                body += await reader.readexactly(size)
                await reader.readline()
            await reader.readline()
        else:
            body = b""
        if "content-encoding: gzip" in head:
            body = gzip.decompress(body)
        if "connection: close" in head:
            writer.close()
            self.pipe = None
        return status, body


class LowLatencyViewer:
    """hls.js in short: a blocking delta reload for each part to come, then that part."""

    def __init__(self, playlist: str):
        parts = urllib.parse.urlsplit(playlist)
        self.path = parts.path
        self.reloads = Connection(parts.hostname, parts.port)
        self.media = Connection(parts.hostname, parts.port)
        # Called with (media end in seconds, moment) for each part that has arrived.
        self.on_part = lambda end, at: None

    async def run(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        query, seen, end = "", None, {}
        while time.monotonic() < until:
            status, body = await self.reloads.get(self.path + query)
            if status != 200:
                await asyncio.sleep(0.2)
                query = ""
                continue
            news, seen, following, end = read(body.decode(), seen, end)
            if following is None:
                return
            query = f"?_HLS_msn={following[0]}&_HLS_part={following[1]}&_HLS_skip=YES"
            for uri, media_end in news:
                status, _ = await self.media.get(urllib.parse.urljoin(self.path, uri))
                if status == 200:
                    self.on_part(media_end, time.monotonic())


def read(text: str, seen, ends: dict):
    """New parts behind `seen` as (uri, media end), the newest, the next one to ask for, where each segment ends."""
    first = int(re.search(r"#EXT-X-MEDIA-SEQUENCE:(\d+)", text)[1])
    skipped = re.search(r"SKIPPED-SEGMENTS=(\d+)", text)
    msn, part, news, at = first + (int(skipped[1]) if skipped else 0), 0, [], None
    ends = dict(ends)
    at = ends.get(msn - 1, 0.0)
    newest = seen
    for line in text.splitlines():
        if match := PART.match(line):
            at += float(match[1])
            if seen is None or (msn, part) > seen:
                news.append((match[2], at))
                newest = (msn, part)
            part += 1
        elif line.startswith("#EXTINF:"):
            ends[msn] = ends.get(msn - 1, 0.0) + float(line[8:].rstrip(","))
        elif line and not line.startswith("#"):
            at = ends[msn]
            msn, part = msn + 1, 0
    if "#EXT-X-ENDLIST" in text:
        return news, newest, None, ends
    if seen is None:
        # Who joins begins with what is newest.
        news = news[-1:]
    return news, newest, (msn, part), ends
