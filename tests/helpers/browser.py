"""Chromium without a window: its document, console and screenshot of a page, and measurements."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def _usable(name: str) -> str | None:
    """The path of a browser that starts; on Ubuntu, the command may only print a note on snaps."""
    path = shutil.which(name)
    if path is None:
        return None
    try:
        done = subprocess.run([path, "--version"], capture_output=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        return None
    return None if done.returncode else path


FOUND = next(filter(None, map(_usable, ("chromium", "chromium-browser", "google-chrome"))), None)
MISSING = "Chromium is not installed (on Debian: apt-get install chromium)"
#: Widths in pixels of the frames that show the page; a window can't be narrower than 500 pixels.
WIDTHS = (320, 390, 768, 1280)
_SECONDS = 90
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--enable-logging=stderr",
    # Lets the measuring page read the document in its frame.
    "--allow-file-access-from-files",
)
_DARK = "--blink-settings=preferredColorScheme=0"

_MEASURE = """<!doctype html><meta charset="utf-8"><title>measuring</title><pre id="results"></pre>
<script>
"use strict";
const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
  .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
  .reduce((sum, v, at) => sum + v * [.2126, .7152, .0722][at], 0);
function contrast(one, other) {
  const [a, b] = [light(one), light(other)].sort((x, y) => y - x);
  return (a + .05) / (b + .05);
}
function behind(element, view) {
  for (let at = element; at; at = at.parentElement) {
    const back = numbers(view.getComputedStyle(at).backgroundColor);
    if (back.length === 3 || back[3] === 1) return back;
  }
  return [255, 255, 255];
}
function measure(frame) {
  const view = frame.contentWindow, page = frame.contentDocument, root = page.documentElement;
  const seen = [...page.body.querySelectorAll("*")].filter(e => e.getClientRects().length);
  const worst = {text: [99, ""], bars: [99, ""]};
  const note = (kind, ratio, what) => {
    if (ratio < worst[kind][0]) worst[kind] = [ratio, what];
  };
  for (const element of seen) {
    const style = view.getComputedStyle(element);
    if (style.visibility === "hidden") continue;
    const texts = [...element.childNodes].some(n => n.nodeType === 3 && n.data.trim());
    if (texts && !element.ownerSVGElement)
      note("text", contrast(numbers(style.color), behind(element, view)), element.outerHTML);
    if (element.tagName === "rect" && !["track", "unknown"].includes(element.classList[0])) {
      const card = behind(element.ownerSVGElement.parentElement, view);
      note("bars", contrast(numbers(style.fill), card), element.outerHTML);
    }
  }
  return {
    width: root.clientWidth, needed: root.scrollWidth,
    beyond: seen.filter(e => !e.ownerSVGElement
      && view.getComputedStyle(e).position !== "absolute"
      && e.getBoundingClientRect().right > root.clientWidth + .5)
      .map(e => e.outerHTML.slice(0, 200)),
    smallest: Math.min(...seen.filter(e => !e.ownerSVGElement)
      .map(e => parseFloat(view.getComputedStyle(e).fontSize))),
    text: page.body.innerText, title: page.title, worst,
    dark: view.matchMedia("(prefers-color-scheme: dark)").matches,
  };
}
const results = [];
function add(width) {
  const frame = document.createElement("iframe");
  frame.width = width; frame.height = 4000;
  frame.onload = () => {
    try { results.push(measure(frame)); } catch (error) { results.push({error: String(error)}); }
    document.getElementById("results").textContent = JSON.stringify(results);
  };
  frame.src = PAGE;
  document.body.append(frame);
}
WIDTHS.forEach(add);
</script>
"""


@dataclass(frozen=True)
class Image:
    """A PNG image: its size in pixels, its first pixel, and its number of different rows."""

    width: int
    height: int
    corner: tuple[int, ...]
    lines: int

    @classmethod
    def read(cls, path: Path) -> Image:
        """Reads a PNG of 8 bits a channel, RGB or RGBA."""
        content = path.read_bytes()
        assert content[:8] == b"\x89PNG\r\n\x1a\n"
        at, packed = 8, b""
        width = height = kind = 0
        while at < len(content):
            (length,) = struct.unpack(">I", content[at : at + 4])
            name, body = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
            if name == b"IHDR":
                width, height, depth, kind = struct.unpack(">IIBB", body[:10])
                assert (depth, kind) in ((8, 2), (8, 6))
            if name == b"IDAT":
                packed += body
            at += length + 12
        channels = 3 if kind == 2 else 4
        pixels, row = zlib.decompress(packed), 1 + width * channels
        rows = {pixels[start : start + row] for start in range(0, len(pixels), row)}
        # No filter changes the first pixel of the first row.
        return cls(width, height, tuple(pixels[1:4]), len(rows))


@dataclass(frozen=True)
class Browser:
    """Chromium with its profile in ``folder``."""

    folder: Path

    def console(self, page: Path | str) -> list[str]:
        """The lines of the console for a page: violations of its policy, errors, warnings.

        Args:
            page: Its file or its address.
        """
        address = page if isinstance(page, str) else page.as_uri()
        _, log = self._run("--dump-dom", address)
        return [line for line in log.splitlines() if "CONSOLE" in line]

    def document(self, page: Path | str) -> str:
        """The document of a page, a file or an address, as HTML after its scripts have run."""
        return self._run("--dump-dom", page if isinstance(page, str) else page.as_uri())[0]

    def measured(self, page: Path, *, dark: bool = False) -> list[dict[str, Any]]:
        """The measurements of the page in frames of each of `WIDTHS`, by `_MEASURE`."""
        measuring = self.folder / "measuring.html"
        script = _MEASURE.replace("PAGE", json.dumps(page.as_uri()), 1)
        measuring.write_text(script.replace("WIDTHS", json.dumps(WIDTHS), 1))
        out, _ = self._run(*([_DARK] if dark else []), "--dump-dom", measuring.as_uri())
        (results,) = re.findall(r'<pre id="results">(.*?)</pre>', out, re.DOTALL)
        measured: list[dict[str, Any]] = json.loads(html.unescape(results))
        return sorted(measured, key=lambda frame: int(frame["width"]))

    def picture(self, page: Path, width: int, height: int, *, dark: bool = False) -> Image:
        """A screenshot of the page in a frame of this size in pixels."""
        framing, image = self.folder / "framing.html", self.folder / f"{width}-{dark}.png"
        framing.write_text(
            '<!doctype html><body style="margin:0;overflow:hidden"><iframe style="border:0" '
            f'width="{width}" height="{height}" src="{page.as_uri()}"></iframe>'
        )
        scheme = [_DARK] if dark else []
        size = f"--window-size={width},{height}"
        self._run(*scheme, size, f"--screenshot={image}", framing.as_uri())
        return Image.read(image)

    def _run(self, *arguments: str) -> tuple[str, str]:
        assert FOUND is not None
        started = subprocess.Popen(
            [FOUND, *_FLAGS, f"--user-data-dir={self.folder / 'profile'}", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "HOME": str(self.folder)},
            start_new_session=True,
        )
        try:
            out, log = started.communicate(timeout=_SECONDS)
        except BaseException:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()
            raise
        assert started.returncode == 0, log[-2000:]
        return out, log
