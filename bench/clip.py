"""The input of every server."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

SECONDS = 60


@dataclass(frozen=True)
class Clip:
    """An FLV file that can be looped, and what it holds."""

    path: Path
    seconds: float
    media_bytes: int

    @property
    def bytes_per_second(self) -> float:
        return self.media_bytes / self.seconds


def make(folder: Path, size: str = "1920x1080", kbit: int = 6000, bframes: int = 2, seconds: int = SECONDS) -> Clip:
    """Makes the clip once; a test picture with noise, so that the bit rate is really used."""
    path = folder / f"clip-{size}-{kbit}-{bframes}-{seconds}.flv"
    if not path.exists():
        made = path.with_suffix(".part.flv")
        subprocess.run(
            ["ffmpeg", "-nostdin", "-v", "error", "-y",
             "-f", "lavfi", "-i", f"testsrc2=size={size}:rate=30,noise=alls=12:allf=t",
             "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000",
             "-t", str(seconds), "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p",
             "-b:v", f"{kbit}k", "-minrate", f"{kbit}k", "-maxrate", f"{kbit}k", "-bufsize", f"{kbit}k",
             "-x264-params", f"nal-hrd=cbr:keyint=60:min-keyint=60:scenecut=0:bframes={bframes}",
             "-c:a", "aac", "-b:a", "128k", "-ac", "2", "-f", "flv", str(made)],
            check=True)
        made.rename(path)
    packets = subprocess.run(
        ["ffprobe", "-v", "error", "-show_entries", "packet=size", "-of", "json", str(path)],
        check=True, capture_output=True, text=True)
    sizes = [int(packet["size"]) for packet in json.loads(packets.stdout)["packets"]]
    return Clip(path, float(seconds), sum(sizes))
