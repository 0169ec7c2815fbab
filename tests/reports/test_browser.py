"""The page in a browser: no wider than the window at 400 and 1400 pixels, readable in the dark and the light."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.report_folders import run_folder, study_folder

from vae_lightning import reports

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MEASURE = """<iframe id="page" style="width: %dpx; height: 900px; border: 0" srcdoc="%s"></iframe><p id="found"></p>
<script>
const luminance = text => {
  const [r, g, b] = text.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
onload = () => {
  const page = document.getElementById("page").contentDocument, style = page.defaultView.getComputedStyle;
  const behind = e => {
    const color = style(e).backgroundColor;
    return color === "rgba(0, 0, 0, 0)" ? behind(e.parentElement) : color;
  };
  const says = e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
  const texts = [...page.querySelectorAll("body *")].filter(says);
  const ink = e => style(e)[e.namespaceURI.endsWith("svg") ? "fill" : "color"];
  const visible = texts.filter(e => e.getClientRects().length && e.tagName !== "title");
  document.getElementById("found").textContent = JSON.stringify({
    inner: page.documentElement.clientWidth, wide: page.documentElement.scrollWidth,
    paper: luminance(style(page.body).backgroundColor), texts: visible.length,
    contrast: Math.min(...visible.map(e => contrast(luminance(ink(e)), luminance(behind(e))))),
    lines: Math.min(...[...page.querySelectorAll("polyline")].map(
      e => contrast(luminance(style(e).stroke), luminance(style(page.body).backgroundColor)))),
  });
};
</script>"""


def measured(page: Path, width: int, dark: bool) -> dict[str, Any]:
    """What a browser finds in a page of this width, which stands in a frame so that it can be asked."""
    text = re.sub(r"<meta http-equiv[^>]*>", "", page.read_text())  # which would keep the question out, too
    outer = page.with_name("outer.html")
    outer.write_text(MEASURE % (width, html.escape(text)))
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={page.parent / 'profile'}"]
    size = f"--window-size={width + 100},1000"
    done = subprocess.run(
        [str(BROWSER), *options, scheme, size, "--dump-dom", "--virtual-time-budget=3000", outer.as_uri()],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return json.loads(html.unescape(re.search(r'<p id="found">(.*?)</p>', done.stdout)[1]))


@pytest.fixture(scope="module")
def page(run_with_figures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a real run, of one with long words and many options, and of a study with a wide table."""
    folder = tmp_path_factory.mktemp("page")
    figures = {"val/nelbo": 27.0, f"val/{'figure' * 20}": 1.0}
    options = {f"{'option' * 12}{n}": "value" * 40 for n in "123"}
    long = run_folder(folder / ("long" * 30), figures, "step,val/nelbo\n1,2\n2,1\n", **options)
    table = f"# Wide\n\n|{' heading of a column |' * 20}\n|{' --- |' * 20}\n|{' 1.0000 |' * 20}\n"
    return reports.report([run_with_figures, long, study_folder(folder / "study", table)], folder / "page.html")


@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium to show the page")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_a_page_fits_its_window_and_can_be_read(page: Path, width: int, dark: bool) -> None:
    found = measured(page, width, dark)
    assert found["inner"] == pytest.approx(width, abs=20)
    assert found["wide"] <= found["inner"], "nothing but tables and texts that scroll by themselves is wider"
    assert found["texts"] > 100
    assert (found["paper"] < 0.1) == dark
    assert found["contrast"] >= 4.5, "WCAG's AA for text"
    assert found["lines"] >= 3, "and for what is drawn"
