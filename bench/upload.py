"""What an upload costs, beside ffmpeg doing the same job in the same run. Started by `script/bench-upload`."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from dataclasses import dataclass
from pathlib import Path

from servers import Griot

TICKS = os.sysconf("SC_CLK_TCK")
# As pipelines/ladder.toml has them.
RUNGS = [(1280, 720, 2500, 128), (854, 480, 1200, 96), (640, 360, 700, 96)]
MOST = 1.1


def processes(root: int) -> list[int]:
    """A process and all that it has started."""
    found, children = [root], {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError):
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    for process in found:
        found.extend(children.get(process, []))
    return found


def cpu_seconds(root: int) -> float:
    """Of a process, what runs below it, and what has ended below it."""
    spent = 0
    for process in processes(root):
        try:
            fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        spent += sum(int(field) for field in fields[11:15])
    return spent / TICKS


def memory_bytes(root: int) -> int:
    total = 0
    for process in processes(root):
        try:
            text = Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:"))
    return total


@dataclass(frozen=True)
class Result:
    """What one side took, and the pictures it made: one file for each of the rungs."""

    figures: dict[str, float]
    files: list[Path]


class Peak:
    """The most memory that a process and its children have at a time."""

    def __init__(self, root: int):
        self.bytes, self.ended = 0, threading.Event()
        self.thread = threading.Thread(target=self.look, args=(root,))
        self.thread.start()

    def look(self, root: int) -> None:
        while not self.ended.wait(0.2):
            self.bytes = max(self.bytes, memory_bytes(root))

    def end(self) -> int:
        self.ended.set()
        self.thread.join()
        return self.bytes


def clip(folder: Path, seconds: int) -> Path:
    """1080p30 with moderate noise, H.264 and AAC, a key frame each 2 s."""
    made = folder / f"upload-{seconds}.mp4"
    if not made.exists():
        folder.mkdir(parents=True, exist_ok=True)
        half = made.with_suffix(".half.mp4")
        subprocess.run(
            ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", f"testsrc2=s=1920x1080:r=30:d={seconds}",
             "-f", "lavfi", "-i", f"sine=f=440:r=48000:d={seconds}", "-vf", "noise=alls=8:allf=t,format=yuv420p",
             "-c:v", "libx264", "-preset", "veryfast", "-b:v", "6M", "-maxrate", "6M", "-bufsize", "6M", "-g", "60",
             "-c:a", "aac", "-b:a", "128k", "-ac", "2", half], check=True)
        half.rename(made)
    return made


def griot(binary: str, folder: Path, source: Path) -> Result:
    server = Griot(folder, binary)
    try:
        root = server.pids[0]
        token = server.members_for(1)[0]
        # Once for a machine: which elements GStreamer has. Not part of a job.
        subprocess.run([binary, "doctor"], env=server.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        body, boundary = source.read_bytes(), uuid.uuid4().hex
        head = (f"--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp4\"\r\n\r\n").encode()
        request = urllib.request.Request(
            f"{server.http}/api/posts/media/upload/", head + body + f"\r\n--{boundary}--\r\n".encode(),
            {"Authorization": f"Bearer {token}", "Content-Type": f"multipart/form-data; boundary={boundary}"})
        before, peak, began = cpu_seconds(root), Peak(root), time.monotonic()
        with urllib.request.urlopen(request, timeout=120) as answer:
            media = json.load(answer)
        sent = time.monotonic()
        while media["state"] == "processing":
            time.sleep(0.05)
            look = urllib.request.Request(
                f"{server.http}/api/posts/media/{media['id']}/", headers={"Authorization": f"Bearer {token}"})
            with urllib.request.urlopen(look, timeout=20) as answer:
                media = json.load(answer)
        if media["state"] != "ready":
            raise RuntimeError(f"the video was not made: {media['failure']}")
        playable = time.monotonic()
        while True:
            with urllib.request.urlopen(media["hls_url"], timeout=20) as answer:
                if "max-age" in answer.headers["Cache-Control"]:
                    break
            time.sleep(0.1)
        complete = time.monotonic()
        spent, most = cpu_seconds(root) - before, peak.end()
        with urllib.request.urlopen(f"{server.http}/metrics", timeout=20) as answer:
            lines = [line for line in answer.read().decode().splitlines() if line.startswith("griot_pipeline_cpu_seconds{")]
        of_kind = {line.split('"')[1]: float(line.split()[-1]) for line in lines}
        files = []
        for width, height, _, _ in RUNGS:
            file = folder / f"{height}p.mp4"
            urllib.request.urlretrieve(f"{media['hls_url'].removesuffix('index.m3u8')}{height}p.mp4", file)
            files.append(file)
        figures = {"upload MB/s, verdict included": len(body) / 1e6 / (sent - began),
                   "playable after the last byte and its verdict, s": playable - sent, "complete, s": complete - sent,
                   "peak memory, PSS MB": most / 1e6, "CPU s": spent,
                   "CPU s of the child that makes the rungs": of_kind.get("transcode", 0.0)}
        return Result(figures, files)
    finally:
        server.stop()


def ffmpeg(folder: Path, source: Path) -> Result:
    """The same rungs with the same encoder's settings, the sound alone, the small pictures and the poster."""
    count = len(RUNGS)
    files = [folder / f"{height}p.mp4" for _, height, _, _ in RUNGS]
    split = f"[0:v]split={count}" + "".join(f"[s{n}]" for n in range(count))
    scales = [f"[s{n}]scale={w}:{h}:flags=bilinear[v{n}]" for n, (w, h, _, _) in enumerate(RUNGS)]
    command = ["ffmpeg", "-v", "error", "-nostdin", "-y", "-i", str(source), "-filter_complex", ";".join([split, *scales])]
    for number, (_, _, kbps, sound) in enumerate(RUNGS):
        command += ["-map", f"[v{number}]", "-map", "0:a", "-c:v", "libx264", "-preset", "veryfast", "-crf", "23",
                    "-maxrate", f"{kbps}k", "-bufsize", f"{2 * kbps}k", "-bf", "0", "-g", "60", "-sc_threshold", "0",
                    "-c:a", "aac", "-b:a", f"{sound}k", str(files[number])]
    command += ["-map", "0:a", "-c:a", "aac", "-b:a", "64k", str(folder / "audio.mp4")]
    commands = [command, ["ffmpeg", "-v", "error", "-nostdin", "-y", "-skip_frame", "nokey", "-i", str(source),
                          "-vf", "scale=160:-2,tile=10x10", "-frames:v", "1", str(folder / "sheet.jpg")]]
    spent, most, began, of_rungs = 0.0, 0, time.monotonic(), None
    for command in commands:
        child = subprocess.Popen(command)
        peak = Peak(child.pid)
        _, status, usage = os.wait4(child.pid, 0)
        most = max(most, peak.end())
        if status != 0:
            raise RuntimeError("ffmpeg failed")
        spent += usage.ru_utime + usage.ru_stime
        of_rungs = of_rungs or spent
    return Result({"complete, s": time.monotonic() - began, "peak memory, PSS MB": most / 1e6, "CPU s": spent,
                   "CPU s of the process that makes the rungs": of_rungs}, files)


def psnr(file: Path, source: Path, width: int, height: int) -> float:
    """dB of all planes against the source, scaled by a filter that neither side used."""
    compared = (f"[1:v]scale={width}:{height}:flags=lanczos,settb=AVTB,setpts=N[whole];[0:v]settb=AVTB,setpts=N[made];"
                "[made][whole]psnr")
    said = subprocess.run(["ffmpeg", "-nostdin", "-i", str(file), "-i", str(source), "-filter_complex", compared, "-f", "null", "-"],
                          check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True).stderr
    return float(said.rsplit("average:", 1)[1].split()[0])


def quality(results: dict[str, Result], source: Path) -> None:
    """CPU can be bought with bytes or with quality: so both are printed."""
    for number, (width, height, _, _) in enumerate(RUNGS):
        for name, result in results.items():
            file = result.files[number]
            print(f"  {name}: {height}p: {file.stat().st_size / 1e6:.3f} MB, PSNR {psnr(file, source, width, height):.2f} dB")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--griot", required=True)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=2, help="both sides in turn, so often; figures are means")
    options = parser.parse_args()
    source = clip(options.clips, options.seconds)
    with tempfile.TemporaryDirectory(prefix="griot-bench-") as scratch:
        runs: dict[str, list[Result]] = {"griot": [], "ffmpeg": []}
        for number in range(options.rounds):
            for name, results in runs.items():
                folder = Path(scratch) / f"{name}-{number}"
                folder.mkdir()
                results.append(griot(options.griot, folder, source) if name == "griot" else ffmpeg(folder, source))
        print(f"1080p30, {options.seconds} s, {source.stat().st_size / 1e6:.1f} MB → 720p, 480p, 360p, sound alone, pictures; "
              f"{options.rounds} rounds in turn")
        means = {}
        for name, results in runs.items():
            for row in results[0].figures:
                values = [result.figures[row] for result in results]
                means[name, row] = sum(values) / len(values)
                print(f"  {name}: {row}: {means[name, row]:.2f} ({', '.join(f'{value:.2f}' for value in values)})")
        quality({name: results[-1] for name, results in runs.items()}, source)
    rungs = means["griot", "CPU s of the child that makes the rungs"] / means["ffmpeg", "CPU s of the process that makes the rungs"]
    print(f"  CPU of the rungs alone, griot ÷ ffmpeg: {rungs:.2f}")
    ratio = means["griot", "CPU s"] / means["ffmpeg", "CPU s"]
    print(f"  CPU of all of it, griot ÷ ffmpeg: {ratio:.2f} (at most {MOST})")
    return 0 if ratio <= MOST else 1


if __name__ == "__main__":
    sys.exit(main())
