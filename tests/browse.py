"""The built site, site/ -> every page in a headless Chromium at 400 and 1400 pixels, light and dark: what is wrong.

    make browse ARGS="tour.html"

A page is wrong that is wider than its window, or whose paper is not light or dark as the reader's system asks for.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

SITE = Path(__file__).parent.parent / "site"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ASK = """<p id="found"></p><script>
const pages = %s, found = [];
(async () => {
  for (const page of pages) for (const width of [400, 1400]) {
    const frame = document.createElement("iframe");
    frame.style = `width: ${width}px; height: 900px; border: 0`;
    await new Promise(done => { frame.onload = done; frame.src = page; document.body.append(frame); });
    const root = frame.contentDocument.documentElement;
    const paper = getComputedStyle(frame.contentDocument.body).backgroundColor.match(/\\d+/g);
    found.push([page, width, root.clientWidth, root.scrollWidth, Number(paper[0]) < 128]);
    frame.remove();
  }
  document.getElementById("found").textContent = JSON.stringify(found);
})();
</script>"""


class Quiet(SimpleHTTPRequestHandler):
    """Serves files without a line for each."""

    def log_message(self, *_: object) -> None:
        """Nothing."""


def measured(site: Path, pages: list[str], dark: bool) -> list[tuple[str, int, int, int, bool]]:
    """(page, width asked for, width of the window, of what is in it, whether it is dark) of each at both widths."""
    with tempfile.TemporaryDirectory() as folder:
        ask = site / "_browse.html"
        ask.write_text(ASK % json.dumps(pages), encoding="utf-8")
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
        Thread(target=server.serve_forever, daemon=True).start()
        options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={folder}",
            "--window-size=1500,1000",
            *(["--blink-settings=preferredColorScheme=0"] if dark else []),
        ]
        where = f"http://127.0.0.1:{server.server_port}/_browse.html"
        try:
            done = subprocess.run(
                [str(BROWSER), *options, "--dump-dom", "--virtual-time-budget=600000", where],
                check=True, capture_output=True, text=True, timeout=600,
            )  # fmt: skip
        finally:
            server.shutdown()
            ask.unlink()
    answer = re.search(r'<p id="found">(.+?)</p>', done.stdout)
    return [tuple(row) for row in json.loads(html.unescape(answer[1]))] if answer else []


if __name__ == "__main__":
    if BROWSER is None:
        raise SystemExit("there is no Chromium on the path")
    asked = sys.argv[1:] or sorted(str(page.relative_to(SITE)) for page in SITE.rglob("*.html"))
    wrong = views = 0
    for dark in (False, True):
        for page, width, inner, wider, is_dark in measured(SITE, asked, dark):
            views += 1
            if wider > inner or is_dark != dark:
                wrong += 1
                theme = "dark" if is_dark else "light"
                print(f"{page} at {width} pixels, dark {dark}: {wider} in a window of {inner}, {theme}")
    print(f"{views} views of {len(asked)} pages, {wrong} wrong")
    raise SystemExit(bool(wrong) or views != 4 * len(asked))
