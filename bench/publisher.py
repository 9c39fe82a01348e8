"""An RTMP encoder that reads an FLV file and knows when it sent each picture."""

import os
import socket
import struct
import threading
import time
import urllib.parse
from pathlib import Path

CHUNK = 65_536


def tags(flv: bytes):
    """(kind, milliseconds, body) of each tag (Flash Video File Format 10.1, annex E)."""
    at = 9 + 4
    while at + 11 <= len(flv):
        kind = flv[at]
        size = int.from_bytes(flv[at + 1:at + 4], "big")
        when = int.from_bytes(flv[at + 4:at + 7], "big") | flv[at + 7] << 24
        yield kind, when, flv[at + 11:at + 11 + size]
        at += 11 + size + 4


def amf(value) -> bytes:
    """AMF0, as much of it as a publish needs."""
    if value is None:
        return b"\x05"
    if isinstance(value, (int, float)):
        return b"\x00" + struct.pack(">d", value)
    if isinstance(value, str):
        return b"\x02" + struct.pack(">H", len(value)) + value.encode()
    pairs = b"".join(struct.pack(">H", len(key)) + key.encode() + amf(item) for key, item in value.items())
    return b"\x03" + pairs + b"\x00\x00\x09"


class Publisher:
    """Publishes a clip once in real time; `sent_at[n]` is when picture n of decoding order left, by time.monotonic."""

    def __init__(self, url: str, clip: Path, seconds: float):
        parts = urllib.parse.urlsplit(url)
        app, _, self.key = parts.path.lstrip("/").partition("/")
        if parts.query:
            self.key += "?" + parts.query
        self.socket = socket.create_connection((parts.hostname, parts.port or 1935), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.seconds, self.sent_at = seconds, []
        self.tags = list(tags(clip.read_bytes()))
        self.handshake()
        self.message(2, 1, 0, 0, struct.pack(">I", CHUNK))
        self.message(3, 20, 0, 0, amf("connect") + amf(1) + amf({"app": app, "tcUrl": f"rtmp://{parts.netloc}/{app}"}))
        self.message(3, 20, 0, 0, amf("createStream") + amf(2) + amf(None))
        # What the server answers is read and dropped; a refusal closes the socket.
        threading.Thread(target=self.drain, daemon=True).start()
        time.sleep(0.3)
        self.message(4, 20, 0, 1, amf("publish") + amf(3) + amf(None) + amf(self.key) + amf("live"))
        time.sleep(0.3)

    def handshake(self) -> None:
        self.socket.sendall(b"\x03" + bytes(8) + os.urandom(1528))
        answer = b""
        while len(answer) < 1 + 1536 + 1536:
            more = self.socket.recv(4096)
            if not more:
                raise ConnectionError("the server closed during the handshake")
            answer += more
            if len(answer) >= 1 + 1536 and not getattr(self, "answered", False):
                self.answered = True
                self.socket.sendall(answer[1:1537])

    def drain(self) -> None:
        try:
            while self.socket.recv(65_536):
                pass
        except OSError:
            pass

    def message(self, chunk_stream: int, kind: int, when: int, stream: int, body: bytes) -> None:
        head = bytes([chunk_stream]) + min(when, 0xFFFFFF).to_bytes(3, "big") + len(body).to_bytes(3, "big")
        out = head + bytes([kind]) + struct.pack("<I", stream) + body[:CHUNK]
        for at in range(CHUNK, len(body), CHUNK):
            out += bytes([0xC0 | chunk_stream]) + body[at:at + CHUNK]
        self.socket.sendall(out)

    def run(self) -> None:
        """Blocks until `seconds` of media have been sent."""
        began = time.monotonic()
        for kind, when, body in self.tags:
            if when > self.seconds * 1000:
                break
            wait = began + when / 1000 - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            self.message({8: 6, 9: 7, 18: 4}[kind], kind, when, 1, body)
            # A picture, not the decoder's configuration.
            if kind == 9 and body[1] == 1:
                self.sent_at.append(time.monotonic())

    def close(self) -> None:
        self.message(3, 20, 0, 0, amf("deleteStream") + amf(4) + amf(None) + amf(1))
        self.socket.close()
