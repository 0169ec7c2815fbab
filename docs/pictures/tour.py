"""docs/tour.md -> run what it shows, fill in what that printed, and draw its pictures beside this file.

python docs/pictures/tour.py    (some minutes; a Chromium on the path takes the picture of the report)
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from vae_lightning.cli import main

HERE = Path(__file__).parent
PAGE = HERE.parent / "tour.md"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
WIDTH, HEIGHT = 1000, 900  # of the report's window


def run(page: str) -> str:
    """All code of a page, here and in order; the page with what it printed in each block of text behind it."""
    names: dict[str, object] = {}
    printed = ""

    def ran(block: re.Match[str]) -> str:
        nonlocal printed
        language, code = block.groups()
        if language != "text":
            printed = _output(language, code, names)
        return f"```{language}\n{printed if language == 'text' else code}```"

    return FENCE.sub(ran, page)


def _output(language: str, code: str, names: dict[str, object]) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as output:
        if language == "python":
            exec(compile(code, "tour.md", "exec"), names)
        else:
            for line in code.replace("\\\n", "").splitlines():
                main(shlex.split(line)[1:])
    return output.getvalue()


def keep(picture: Path, name: str, width: int = WIDTH) -> None:
    """A picture as `tour-NAME.png`, of few colours and no wider than so many pixels."""
    image = Image.open(picture).convert("RGB")
    if image.width > width:
        image = image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)
    image.quantize(64).save(HERE / f"tour-{name}.png", optimize=True)
    print(f"{HERE / f'tour-{name}.png'}: {image.width} x {image.height}", file=sys.stderr)


def photograph(page: Path, picture: Path) -> None:
    """The beginning of a page, as a window shows it in the light."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        raise SystemExit("there is no Chromium on the path, which takes the picture of the report")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=3000"]
    size = [f"--window-size={WIDTH},{HEIGHT}", "--blink-settings=preferredColorScheme=1"]
    profile = f"--user-data-dir={page.parent / 'profile'}"
    subprocess.run(
        [browser, *options, *size, profile, f"--screenshot={picture}", page.as_uri()],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        PAGE.write_text(run(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
        photograph(Path("report.html").resolve(), Path("report.png").resolve())
        (units,) = Path("runs/version_1/pictures").glob("test-active_units-*.png")
        for picture in (Path("report.png"), units):
            keep(picture, picture.stem.removeprefix("test-").partition("-")[0].replace("_", "-"))
        for name in ("samples", "reconstructions"):
            keep(Path(f"{name}.png"), name, 600)
