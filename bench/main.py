"""griot beside nginx-rtmp and ffmpeg, on the same input, in one run. Started by script/bench."""

import argparse
import concurrent.futures
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import clip as clips
import costs
import delivery
import edge
from publisher import Publisher
from servers import Ffmpeg, Griot, Nginx, Server, Stream

HERE = Path(__file__).resolve().parent
# Encoders are started over this long, and lives are given as long to settle.
RAMP_S = 3
# Members that go live again and again.
PUBLISHERS = 8
ROWS = {
    "ingest": ("CPU s per stream-minute, {streams} streams, recording on", 3),
    "viewer": ("CPU s per low-latency viewer-minute, {viewers} viewers", 3),
    "pss": ("memory per stream, PSS MB", 2),
    "pss_idle": ("memory without any stream, PSS MB", 1),
    "written": ("bytes written per byte of media", 3),
    "playlist": ("playlist: µs CPU per request", 1),
    "playlist_delta": ("playlist, satisfied delta reload: µs CPU per request", 1),
    "segment": ("segment: CPU s per GB", 3),
    "edge_p50": ("age of the newest picture to be had, s, p50", 3),
    "edge_p95": ("age of the newest picture to be had, s, p95", 3),
    "arrival": ("age of a picture when it arrives, s, p50", 3),
    "glass_stock": ("glass to glass, stock hls.js in Chromium, s, p50", 3),
    "glass_page": ("glass to glass, griot's page in Chromium, s, p50", 3),
    "stalls": ("stalls in both", 0),
    "crowd_cpu": ("crowd: CPU s per stream-minute, {crowd} streams", 3),
    "crowd_pss": ("crowd: memory per stream, PSS MB", 2),
    "crowd_written": ("crowd: bytes written per byte of media", 3),
    "crowd_late_p50": ("crowd: lateness of a part at {watchers} viewers of one live, ms, p50", 0),
    "crowd_late_max": ("crowd: the latest part, ms", 0),
    "crowd_errors": ("crowd: errors of viewers", 0),
    "cycle_growth": ("cycles: memory after {cycles} lives more than after a tenth of them, MB", 1),
}
# The long ones run only when they are asked for: script/soak does.
LONG = ["crowd", "cycles"]


class Bench:
    def __init__(self, options: argparse.Namespace, folder: Path):
        self.options, self.folder = options, folder
        self.results: dict[str, dict[str, list[float]]] = {row: {} for row in ROWS}
        self.made = 0

    def note(self, row: str, server: str, value: float) -> None:
        self.results[row].setdefault(server, []).append(value)
        print(f"  {server}: {ROWS[row][0].format(**vars(self.options))}: {value:.{ROWS[row][1]}f}", flush=True)

    @contextlib.contextmanager
    def server(self, kind, *arguments):
        self.made += 1
        folder = self.folder / f"{kind.__name__.lower()}-{self.made}"
        folder.mkdir()
        # nginx's workers have another user.
        folder.chmod(0o777)
        server = kind(folder, *arguments)
        try:
            yield server
        finally:
            server.stop()
            shutil.rmtree(folder, ignore_errors=True)

    @contextlib.contextmanager
    def encoders(self, streams: list[Stream]):
        running = []
        for stream in streams:
            # Numbered timestamps go on over the clip's end; FLV is copied as it is.
            running.append(subprocess.Popen(
                ["ffmpeg", "-nostdin", "-v", "error", "-re", "-stream_loop", "-1", "-i", str(self.clip.path),
                 "-c", "copy", "-f", "flv", stream.publish], stdin=subprocess.DEVNULL))
            time.sleep(RAMP_S / len(streams))
        try:
            yield
            dead = [child.args[-1] for child in running if child.poll() is not None]
            if dead:
                raise RuntimeError(f"encoders have ended: {len(dead)} of {len(running)}")
        finally:
            for child in running:
                child.terminate()
            for child in running:
                child.wait()

    def kinds(self) -> list[tuple]:
        griot = (Griot, self.options.griot)
        return [kind for kind in (griot, (Nginx,), (Ffmpeg,)) if self.options.only in (None, kind[0].__name__.lower())]

    def load(self, kind, *arguments) -> None:
        """CPU, memory and writes of many streams; then with viewers."""
        options = self.options
        with self.server(kind, *arguments) as server:
            idle = costs.pss_bytes(server.pids)
            streams = server.streams(options.streams)
            if kind is Griot:
                # Its members have logged in now: what their passwords cost is not a stream's.
                idle = costs.pss_bytes(server.pids)
            with self.encoders(streams):
                time.sleep(RAMP_S)
                cpu, seconds = self.spent(server, options.seconds)
                pss = costs.pss_bytes(server.pids)
                per_minute = 60 / seconds / options.streams
                media = self.clip.bytes_per_second * seconds * options.streams
                self.note("ingest", server.name, cpu.cpu_seconds * per_minute)
                self.note("pss_idle", server.name, idle / 1e6)
                self.note("pss", server.name, (pss - idle) / 1e6 / options.streams)
                self.note("written", server.name, cpu.written_bytes / media)
                if kind is Griot and options.viewers:
                    self.view(server, streams, cpu.cpu_seconds / seconds)

    def view(self, server: Server, streams: list[Stream], idle_cpu: float) -> None:
        options = self.options
        playlists = [streams[number % len(streams)].playlist for number in range(options.viewers)]
        cpu, seconds, counts = self.watched(server, playlists, options.seconds)
        extra = cpu.cpu_seconds - idle_cpu * seconds
        self.note("viewer", server.name, extra * 60 / seconds / options.viewers)
        wanted = self.clip.bytes_per_second * (options.seconds + 8) * options.viewers
        if counts["errors"] or counts["bytes"] < 0.9 * wanted:
            print(f"  WARNING: the viewers got {counts['bytes'] / wanted:.0%} of the media, {counts['errors']} errors", flush=True)

    def watched(self, server: Server, playlists: list[str], seconds: float) -> tuple[costs.Costs, float, dict]:
        """What the server spends while each of the playlists has a viewer, and what the viewers saw."""
        viewers = subprocess.Popen(
            [str(self.options.viewers_program), str(seconds + 8), *playlists], stdout=subprocess.PIPE, text=True)
        time.sleep(4)
        cpu, took = self.spent(server, seconds)
        counts = json.loads(viewers.communicate()[0])
        print(f"  viewers: {counts}", flush=True)
        return cpu, took, counts

    def crowd(self, kind, *arguments) -> None:
        """Many lives, and many viewers of one of them."""
        options = self.options
        with self.server(kind, *arguments) as server:
            streams = server.streams(options.crowd)
            idle = costs.pss_bytes(server.pids)
            with self.encoders(streams):
                time.sleep(RAMP_S)
                if kind is Griot:
                    playlists = [streams[0].playlist] * options.watchers
                    cpu, seconds, counts = self.watched(server, playlists, options.long_seconds)
                    self.note("crowd_late_p50", server.name, counts["lateness_ms_p50"])
                    self.note("crowd_late_max", server.name, counts["lateness_ms_max"])
                    self.note("crowd_errors", server.name, counts["errors"])
                else:
                    cpu, seconds = self.spent(server, options.long_seconds)
                media = self.clip.bytes_per_second * seconds * options.crowd
                self.note("crowd_cpu", server.name, cpu.cpu_seconds * 60 / seconds / options.crowd)
                self.note("crowd_pss", server.name, (costs.pss_bytes(server.pids) - idle) / 1e6 / options.crowd)
                self.note("crowd_written", server.name, cpu.written_bytes / media)

    def cycles(self, kind, *arguments) -> None:
        """Start, publish a second, stop; again and again by some members at once. Memory must stay flat."""
        with self.server(kind, *arguments) as server:
            members = server.members_for(PUBLISHERS)
            left, taken, memory = self.options.cycles, threading.Lock(), {}

            def publish(token: str) -> None:
                nonlocal left
                while True:
                    with taken:
                        if left == 0:
                            return
                        left -= 1
                        done = self.options.cycles - left
                        if done % max(self.options.cycles // 10, 1) == 0:
                            memory[done] = costs.pss_bytes(server.pids) / 1e6
                            print(f"  {server.name}: {done} lives, {memory[done]:.1f} MB", flush=True)
                    live = server.start_live(token)
                    publisher = Publisher(live["rtmp_url"], self.small.path, 1)
                    publisher.run()
                    publisher.close()
                    server.stop_live(token, live["live_id"])

            with concurrent.futures.ThreadPoolExecutor(PUBLISHERS) as pool:
                for one in [pool.submit(publish, token) for token in members]:
                    one.result()
            self.note("cycle_growth", server.name, memory[max(memory)] - memory[min(memory)])

    @staticmethod
    def spent(server: Server, seconds: float) -> tuple[costs.Costs, float]:
        before, began = costs.read(server.pids), time.monotonic()
        time.sleep(seconds)
        return costs.read(server.pids) - before, time.monotonic() - began

    def deliver(self, kind, *arguments) -> None:
        """wrk on a playlist and on a segment, beside nginx with the same bytes."""
        with self.server(kind, *arguments) as server, self.server(Nginx) as static:
            (stream,) = server.streams(1)
            with self.encoders([stream]):
                # 60 s: a playlist with something to skip.
                time.sleep(self.options.history)
                idle = self.spent(server, 5)[0].cpu_seconds / 5
                number = delivery.newest_number(stream.playlist)
                segment = delivery.newest_segment(stream.playlist)
                same = {"same.m3u8": delivery.fetch(stream.playlist), "same.m4s": delivery.fetch(segment)}
                for name, content in same.items():
                    (static.root / name).write_bytes(content)
                for row, url, measure in (
                    ("playlist", stream.playlist, "us_per_request"),
                    ("playlist_delta", f"{stream.playlist}?_HLS_msn={number}&_HLS_skip=YES", "us_per_request"),
                    ("segment", segment, "cpu_s_per_gb"),
                ):
                    if row == "playlist_delta" and kind is not Griot:
                        continue
                    self.note(row, server.name, delivery.hammer(url, server.pids, 8, idle)[measure])
                    name = "same.m4s" if row == "segment" else "same.m3u8"
                    if row != "playlist_delta":
                        self.note(row, "nginx static", delivery.hammer(f"{static.http}/{name}", static.pids, 8, 0)[measure])

    def age(self, kind, *arguments) -> None:
        with self.server(kind, *arguments) as server:
            (stream,) = server.streams(1)
            ages = edge.measure(stream, self.small.path, 30, kind is Griot)
            self.note("edge_p50", server.name, ages["p50"])
            self.note("edge_p95", server.name, ages["p95"])
            self.note("arrival", server.name, ages["on_arrival_p50"])

    def glass(self) -> None:
        script = HERE.parent / "tests" / "browser" / "glass.mjs"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GRIOT_")}
        said = subprocess.run(
            ["node", str(script), "30"], env=environment | {"GRIOT_BIN": self.options.griot}, check=True, stdout=subprocess.PIPE, text=True)
        stalls = 0
        for line in said.stdout.splitlines():
            if line.startswith("{"):
                seen = json.loads(line)
                row = "glass_page" if seen["player"] == "griot" else "glass_stock"
                self.note(row, "griot", seen["p50_s"])
                stalls += seen["stalls"]
        self.note("stalls", "griot", stalls)

    def run(self) -> None:
        options = self.options
        print(f"other load: {costs.others_busy([os.getpid()], 2):.2f} of {os.cpu_count()} cores", flush=True)
        self.clip = clips.make(options.clips)
        # Without B-frames a picture's place in decoding order is its place in time.
        self.small = clips.make(options.clips, "1280x720", 2500, 0)
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds}", flush=True)
            for kind in self.kinds():
                if "load" in options.parts:
                    self.load(*kind)
                if "delivery" in options.parts and kind[0] is not Ffmpeg:
                    self.deliver(*kind)
                if "edge" in options.parts and kind[0] is not Ffmpeg:
                    self.age(*kind)
                if "crowd" in options.parts and kind[0] is not Ffmpeg:
                    self.crowd(*kind)
                if "cycles" in options.parts and kind[0] is Griot:
                    self.cycles(*kind)
            if "glass" in options.parts and options.only in (None, "griot"):
                self.glass()

    def table(self) -> None:
        columns = ["griot", "nginx-rtmp", "ffmpeg hls", "nginx static"]
        print(f"\n{'':64}" + "".join(f"{name:>14}" for name in columns))
        for row, (title, digits) in ROWS.items():
            values = self.results[row]
            if values:
                cells = [f"{statistics.median(values[name]):.{digits}f}" if name in values else "-" for name in columns]
                print(f"{title.format(**vars(self.options)):64}" + "".join(f"{cell:>14}" for cell in cells))


def main() -> None:
    parts = ["load", "delivery", "edge", "glass"]
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__)
    parser.add_argument("parts", nargs="*", default=parts, metavar="PART", 
                        help=f"which of {', '.join(parts + LONG)}; by default all but {' and '.join(LONG)}")
    parser.add_argument("--streams", type=int, default=10)
    parser.add_argument("--viewers", type=int, default=20)
    parser.add_argument("--seconds", type=int, default=30, help="how long load is measured")
    parser.add_argument("--history", type=int, default=60, help="how long a live is before its playlist is asked for")
    parser.add_argument("--crowd", type=int, default=30, help="streams at once")
    parser.add_argument("--watchers", type=int, default=100, help="low-latency viewers of one of them")
    parser.add_argument("--long-seconds", type=int, default=180, help="how long the crowd is measured")
    parser.add_argument("--cycles", type=int, default=2000, help="lives, one after the other")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", choices=["griot", "nginx", "ffmpeg"])
    parser.add_argument("--griot", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--viewers-program", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--clips", type=Path, required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := set(options.parts) - set(parts + LONG):
        parser.error(f"no such part: {', '.join(unknown)}")
    options.clips.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="griot-bench-") as folder:
        Path(folder).chmod(0o755)
        bench = Bench(options, Path(folder))
        try:
            bench.run()
        finally:
            bench.table()


if __name__ == "__main__":
    main()
