"""The built site, site/ -> every page in a headless Chromium at 400 and 1400 pixels, light and dark: what is wrong.

    make browse ARGS="tour.html"

A page is wrong that is wider than its window, or whose paper is not light or dark as the reader's system asks for. The
search box is wrong if a word that is typed into it brings no page, or one that has not this word.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any

SITE = Path(__file__).parent.parent / "site"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ASK = """<body><script>
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
  await fetch("/", {method: "POST", body: JSON.stringify(found)});
})();
</script>"""
WORDS = ("DisARM", "VampPrior", "harmonium", "SIGTERM")
TYPE = """<body><script>
const words = %s, found = [];
const until = async look => {
  for (let turn = 0; turn < 600; turn++) {
    const seen = look();
    if (seen) return seen;
    await new Promise(done => setTimeout(done, 50));
  }
};
(async () => {
  for (const word of words) {
    const frame = document.createElement("iframe");
    frame.style = "width: 1400px; height: 900px; border: 0";
    await new Promise(done => { frame.onload = done; frame.src = "index.html"; document.body.append(frame); });
    const page = frame.contentDocument, view = frame.contentWindow;
    const inside = selector => [...page.querySelectorAll("body > div")]
      .map(box => box.shadowRoot?.querySelector(selector)).find(Boolean);
    // a click before the script listens opens nothing
    const box = await until(() => inside("dialog[open] input") ?? page.querySelector(".md-search__button").click());
    if (!box) break;
    Object.getOwnPropertyDescriptor(view.HTMLInputElement.prototype, "value").set.call(box, word);
    box.dispatchEvent(new view.Event("input", {bubbles: true}));
    const first = await until(() => inside("a[href]"));
    const text = first ? await (await fetch(first.href)).text() : "";
    found.push([word, first ? new URL(first.href).pathname : "", text.toLowerCase().includes(word.toLowerCase())]);
    frame.remove();
  }
  await fetch("/", {method: "POST", body: JSON.stringify(found)});
})();
</script>"""


class Server(ThreadingHTTPServer):
    """Serves a folder; what a page in it sends back is its answer."""

    def __init__(self, site: Path) -> None:
        super().__init__(("127.0.0.1", 0), partial(Handler, directory=str(site)))
        self.answers: Queue[list[Any]] = Queue()

    def __enter__(self) -> Server:
        Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class Handler(SimpleHTTPRequestHandler):
    """Of one request."""

    server: Server

    def do_POST(self) -> None:
        """The answer."""
        self.server.answers.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


def measured(site: Path, pages: list[str], dark: bool) -> list[tuple[str, int, int, int, bool]]:
    """(page, width asked for, width of the window, of what is in it, whether it is dark) of each at both widths."""
    return [tuple(row) for row in answered(site, ASK % json.dumps(pages), dark)]


def searched(site: Path) -> list[tuple[str, str, bool]]:
    """(word, path of the first page that the search box finds, whether that page has the word) of each word."""
    return [tuple(row) for row in answered(site, TYPE % json.dumps(WORDS))]


def answered(site: Path, asking: str, dark: bool = False) -> list[Any]:
    """What a page beside the site's own answers, in Chromium; nothing after ten minutes."""
    ask = site / "_browse.html"
    ask.write_text(asking, encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder, Server(site) as server:
        options = [
            *("--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "--window-size=1500,1000"),
            f"--user-data-dir={folder}",
            *(["--blink-settings=preferredColorScheme=0"] if dark else []),
        ]
        where = f"http://127.0.0.1:{server.server_port}/{ask.name}"
        browser = subprocess.Popen([str(BROWSER), *options, where], stderr=subprocess.DEVNULL)
        try:
            return server.answers.get(timeout=600)
        except Empty:
            return []
        finally:
            browser.terminate()
            browser.wait()
            ask.unlink()


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
    results = searched(SITE)
    for word, page, has_it in results:
        print(f"search for {word}: {page or 'nothing'}{'' if has_it else ', WRONG'}")
    right = [word for word, _, has_it in results if has_it] == list(WORDS)
    raise SystemExit(bool(wrong) or views != 4 * len(asked) or not right)
