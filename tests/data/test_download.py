"""Download, against a server on this machine: whole files only, and a way out where there is none."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support import archive as archives

from vae_lightning.callbacks import FrechetInceptionDistance
from vae_lightning.data import MNIST, ImageFolder, Newsgroups, download
from vae_lightning.data.download import RemoteFile, cache_folder, data_folder, fetch
from vae_lightning.data.texts import newsgroups

BODY = bytes(range(256)) * 1000
ANSWERS = {
    "/good": (200, BODY, len(BODY)),
    "/truncated": (200, BODY[:5000], len(BODY)),
    "/page": (200, b"\n<!DOCTYPE html><html>Please log in</html>", None),
    "/gone": (404, b"gone", 4),
}


@pytest.fixture
def site(miniature: Path) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            files = {f"/{path.name}": path.read_bytes() for path in miniature.iterdir()}
            content = files.get(self.path, b"")
            status, body, length = ANSWERS.get(self.path, (200, content, len(content)))
            self.send_response(status)
            if length is not None:
                self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_good_file_arrives_whole(site: str, tmp_path: Path) -> None:
    target = fetch(RemoteFile("file.bin", f"{site}/good"), tmp_path / "new" / "folder")
    assert target == tmp_path / "new" / "folder" / "file.bin"
    assert target.read_bytes() == BODY
    assert [path.name for path in target.parent.iterdir()] == ["file.bin"]


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ("page", "a web page .HTML., not the file"),
        ("gone", "404"),
        ("truncated", "ended after 5000 of 256000 bytes"),
    ],
)
def test_a_failed_download_leaves_nothing_and_says_the_manual_way(
    site: str, tmp_path: Path, page: str, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason) as error:
        fetch(RemoteFile("file.bin", f"{site}/{page}"), tmp_path)
    message = str(error.value)
    assert f"get {site}/{page} by hand and save it as {tmp_path}/file.bin" in message
    assert "VAE_LIGHTNING_DATA" in message
    assert "\n" not in message
    assert not list(tmp_path.iterdir())


def test_an_answer_without_end_is_not_taken(site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "LARGEST", 1000)
    with pytest.raises(ValueError, match="the answer has more than 1,000 bytes"):
        fetch(RemoteFile("x", f"{site}/good"), tmp_path)
    assert not list(tmp_path.iterdir())


def test_no_connection(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot download http://127.0.0.1:9/x .*by hand"):
        fetch(RemoteFile("x", "http://127.0.0.1:9/x"), tmp_path)


def test_newsgroups_downloads_what_its_folder_lacks(site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAE_LIGHTNING_DATA", str(tmp_path))
    for name in ("ARCHIVE", "VOCABULARY"):
        file = getattr(newsgroups, name)
        monkeypatch.setattr(newsgroups, name, RemoteFile(file.name, f"{site}/{file.name}"))
    with pytest.raises(ValueError, match=r"there is no 20news-bydate-matlab.tgz in .* by hand"):
        Newsgroups(download=False).prepare_data()
    data = Newsgroups(num_words=30, hashes=None)
    data.prepare_data()
    data.setup()
    assert len(data.test) == archives.TEST


def test_the_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAE_LIGHTNING_DATA", "/somewhere")
    assert data_folder() == Path("/somewhere")
    monkeypatch.setenv("VAE_LIGHTNING_DATA", "~/here")
    assert data_folder() == Path.home() / "here"
    monkeypatch.delenv("VAE_LIGHTNING_DATA")
    assert data_folder() == Path.home() / ".cache" / "vae-lightning"


def test_the_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """The XDG specification has paths that are not absolute ignored."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/vae-lightning")
    for none in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", none)
        assert cache_folder() == Path.home() / ".cache" / "vae-lightning"


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without a name, as containers have them: no HOME, and no entry among the system's users."""

    def unknown(_: int) -> None:
        raise KeyError("uid not found")

    for name in ("HOME", "XDG_CACHE_HOME", "VAE_LIGHTNING_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    with pytest.raises(RuntimeError, match="home"):
        Path.home()


@pytest.mark.usefixtures("homeless")
def test_without_a_home_a_folder_of_temporary_files_will_do(miniature: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = Path(tempfile.gettempdir()) / f"vae-lightning-{os.getuid()}"
    assert (data_folder(), cache_folder()) == (own, own)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("tempfile.gettempdir", lambda: str(miniature / "temporary"))
        data = Newsgroups(miniature, hashes=None, num_words=80)
        data.prepare_data()
        data.setup()
        assert len(data.test) == archives.TEST
        FrechetInceptionDistance()
    shutil.rmtree(miniature / "temporary")


@pytest.mark.usefixtures("homeless")
def test_without_a_home_only_what_asks_for_it_is_refused() -> None:
    for data in (Newsgroups("~/data", hashes=None), MNIST("~/data"), ImageFolder("~/data")):
        with pytest.raises(ValueError, match=r"~/data begins with ~, but HOME is not set .*: write it out"):
            data.setup()
