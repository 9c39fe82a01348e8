"""What a request costs: wrk on one URL, 32 connections, while one stream is being ingested."""

import re
import subprocess
import time
import urllib.parse
import urllib.request

import costs

CONNECTIONS = 32
UNITS = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}


def hammer(url: str, pids: list[int], seconds: int, idle_cpu_per_second: float) -> dict:
    """CPU per request and per GB of answers; what the server does anyway is taken off."""
    before, began = costs.read(pids), time.monotonic()
    said = subprocess.run(
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", url], check=True, capture_output=True, text=True).stdout
    spent = costs.read(pids) - before
    cpu = spent.cpu_seconds - idle_cpu_per_second * (time.monotonic() - began)
    requests, size, unit = re.search(r"(\d+) requests in [\d.]+\w, ([\d.]+)(B|KB|MB|GB) read", said).groups()
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(f"{url}: {said}")
    gigabytes = float(size) * UNITS[unit] / 1e9
    return {"us_per_request": cpu * 1e6 / int(requests), "cpu_s_per_gb": cpu / gigabytes, "requests": int(requests)}


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return answer.read()


def newest_segment(playlist: str) -> str:
    """The URL of the newest whole segment."""
    lines = [line for line in fetch(playlist).decode().splitlines() if line and not line.startswith("#")]
    return urllib.parse.urljoin(playlist, lines[-1])


def newest_number(playlist: str) -> int:
    """The media sequence number of the newest whole segment."""
    text = fetch(playlist).decode()
    first = int(re.search(r"#EXT-X-MEDIA-SEQUENCE:(\d+)", text)[1])
    return first + text.count("#EXTINF:") - 1
