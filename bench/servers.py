"""The servers that are compared. Each runs in a folder of its own, with recording on."""

import json
import os
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port: int, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise TimeoutError(f"nothing listens on port {port}") from None
            time.sleep(0.05)


@dataclass(frozen=True)
class Stream:
    """Where to publish a stream, and where to play it."""

    publish: str
    playlist: str


@dataclass
class Server:
    """A server that has been started; `pids` are the roots of its processes."""

    name: str
    folder: Path
    children: list[subprocess.Popen] = field(default_factory=list)

    @property
    def pids(self) -> list[int]:
        return [child.pid for child in self.children]

    def spawn(self, command: list[str], **options) -> subprocess.Popen:
        log = open(self.folder / f"{Path(command[0]).name}-{len(self.children)}.log", "wb")
        options.setdefault("stdout", log)
        child = subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL, stderr=log, **options)
        self.children.append(child)
        return child

    def stop(self) -> None:
        for child in self.children:
            child.terminate()
        for child in self.children:
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def streams(self, count: int) -> list[Stream]:
        raise NotImplementedError


class Griot(Server):
    """`griot serve`, one member and one live per stream."""

    def __init__(self, folder: Path, binary: str, latency: str = "normal"):
        super().__init__("griot", folder)
        known = {name: value for name, value in os.environ.items() if not name.startswith("GRIOT_")}
        self.binary, self.members = binary, 0
        self.env = known | {
            "GRIOT_DATA_DIR": str(folder / "data"),
            "GRIOT_HTTP_LISTEN": f"127.0.0.1:{free_port()}",
            "GRIOT_RTMP_LISTEN": f"127.0.0.1:{free_port()}",
            "GRIOT_HTTP_RATE_LIMITS": "off",
            "GRIOT_RECORDING_WEBM": "never",
            "GRIOT_RECORDING_PICTURES": "off",
            "GRIOT_LIVE_LADDER": "off",
            "GRIOT_LIVE_LATENCY": latency,
        }
        served = self.spawn([binary, "serve"], env=self.env, stdout=subprocess.PIPE, text=True)
        ready = served.stdout.readline()
        if not ready.startswith("griot ready "):
            raise RuntimeError(f"griot does not start: {(folder / 'griot-0.log').read_text()[-2000:]}")
        self.http = dict(word.split("=", 1) for word in ready.split()[2:])["http"]

    def call(self, path: str, body: dict, token: str | None = None, method: str = "POST") -> dict:
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        request = urllib.request.Request(self.http + path, json.dumps(body).encode(), headers, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def members_for(self, count: int) -> list[str]:
        """New members, each by the token that it logged in with."""
        tokens = []
        for _ in range(count):
            self.members += 1
            name, password = f"bench{self.members}", f"measured-{self.members}-times"
            subprocess.run(
                [self.binary, "user", "add", name, "--email", f"{name}@example.org", "--quartier", "11", "--password-stdin"],
                env=self.env, input=password, text=True, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            login = self.call("/api/users/login/", {"email": f"{name}@example.org", "password": password})
            tokens.append(login["tokens"]["access"])
        return tokens

    def start_live(self, token: str) -> dict:
        return self.call("/api/posts/live/start/", {"title": "measured"}, token)

    def stop_live(self, token: str, live_id: int) -> None:
        self.call(f"/api/posts/live/{live_id}/stop/", {}, token, "PUT")

    def streams(self, count: int) -> list[Stream]:
        lives = [self.start_live(token) for token in self.members_for(count)]
        return [Stream(live["rtmp_url"], urllib.parse.urljoin(live["hls_url"], "source/index.m3u8")) for live in lives]


NGINX = """
load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log warn;
worker_processes 1; user root;
events {{ worker_connections 4096; }}
rtmp {{ server {{ listen 127.0.0.1:{rtmp}; chunk_size 4096;
  application live {{ live on; hls on; hls_path {folder}/hls; hls_fragment 2s; hls_playlist_length 30s;
    record all; record_path {folder}/record; record_unique on; }} }} }}
http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  types {{ application/vnd.apple.mpegurl m3u8; video/mp2t ts; video/mp4 mp4 m4s; }}
  server {{ listen 127.0.0.1:{http}; root {folder}/hls; }} }}
"""


class Nginx(Server):
    """Debian's nginx with the RTMP module: HLS of 2 s segments and FLV recording; also serves files."""

    def __init__(self, folder: Path):
        super().__init__("nginx-rtmp", folder)
        rtmp, http = free_port(), free_port()
        self.rtmp, self.http = f"rtmp://127.0.0.1:{rtmp}/live", f"http://127.0.0.1:{http}"
        self.root = folder / "hls"
        for name in ("hls", "record"):
            (folder / name).mkdir()
            (folder / name).chmod(0o777)
        config = folder / "nginx.conf"
        config.write_text(NGINX.format(folder=folder, rtmp=rtmp, http=http))
        self.spawn(["nginx", "-c", str(config)])
        wait_for_port(rtmp)
        wait_for_port(http)

    def streams(self, count: int) -> list[Stream]:
        return [Stream(f"{self.rtmp}/s{number}", f"{self.http}/s{number}.m3u8") for number in range(count)]


class Ffmpeg(Server):
    """One `ffmpeg -c copy -f hls` per stream, an EVENT playlist of fMP4 segments, which is its recording."""

    def __init__(self, folder: Path):
        super().__init__("ffmpeg hls", folder)

    def streams(self, count: int) -> list[Stream]:
        made = []
        for number in range(count):
            port = free_port()
            out = self.folder / f"s{number}"
            out.mkdir()
            url = f"rtmp://127.0.0.1:{port}/live/s{number}"
            self.spawn(["ffmpeg", "-nostdin", "-v", "error", "-listen", "1", "-i", url, "-c", "copy", "-f", "hls",
                        "-hls_time", "2", "-hls_playlist_type", "event", "-hls_segment_type", "fmp4",
                        "-hls_segment_filename", str(out / "%d.m4s"), str(out / "index.m3u8")])
            # It accepts one connection only, so it cannot be asked whether it listens.
            wait_for_listener(port)
            made.append(Stream(url, (out / "index.m3u8").as_uri()))
        return made


def wait_for_listener(port: int, seconds: float = 10) -> None:
    """Waits until a socket listens on `port`, without connecting to it."""
    deadline = time.monotonic() + seconds
    wanted = f":{port:04X}"
    while time.monotonic() < deadline:
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        if any(row[1].endswith(wanted) and row[3] == "0A" for row in rows):
            return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port}")
