"""One page about runs and studies: it holds all that it needs, and lets nothing in the files run."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image
from support.command import command, figures, left_with
from support.report_folders import Page, picture, run_folder, study_folder
from support.short_run import saved

from vae_lightning import reports
from vae_lightning.reports.description import commands, training_length
from vae_lightning.reports.differences import differences
from vae_lightning.reports.run import Run
from vae_lightning.sweeps.comparison.options import differing
from vae_lightning.sweeps.comparison.trained import Trained

HOSTILE = "<img src=x onerror=alert(1)></pre></style></script><script>alert(2)</script>\"'`{{ 7 * 7 }}"
TABLE = "# A study\n\n| what | ours |\n| --- | --- |\n| one | 1.50 |\n\n- scale: quick\n"


def written(tmp_path: Path, *folders: Path, title: str | None = None) -> Page:
    return Page(reports.report(folders, tmp_path / "report.html", title, overwrite=True).read_text())


def assert_harmless(page: Page) -> None:
    """Nothing is fetched and nothing runs: no script, no handler, no address but of data and of places in the page."""
    assert not {"script", "iframe", "object", "embed", "link", "base", "form"} & {tag for tag, _ in page.tags}
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("srcset", "style", "srcdoc")], tag
        for name in ("src", "href", "xlink:href", "action"):
            assert re.match(r"data:image/png;base64,[\w+/=]+$|#[\w-]+$", attributes.get(name, "#none")), attributes


def test_a_page_needs_nothing_beside_itself(run_with_figures: Path, tmp_path: Path) -> None:
    page = written(tmp_path, run_with_figures)
    assert_harmless(page)
    (policy,) = [each["content"] for each in page.all("meta") if "http-equiv" in each]
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert not re.search(r"url\(|@import|https?:", (tmp_path / "report.html").read_text().partition("</style>")[0])


def test_it_says_what_was_trained_on_what_and_with_what(run_with_figures: Path, tmp_path: Path) -> None:
    page = written(tmp_path, run_with_figures)
    about = json.loads((run_with_figures / "about.json").read_text())
    (environment,) = about["environments"]
    assert page.text.count("A GaussianVAE of 2,244 parameters trained on Digits") == 1
    assert "200 to train on, 61 to validate, 1,536 to test; each (1, 8, 8)" in page.text
    assert "for 2 epochs (20 steps" in page.text
    assert all(value in page.text for value in environment.values())
    for command_line in (f"fit --config {run_with_figures}/config.yaml", f"test --ckpt_path {run_with_figures}"):
        assert f"vae-lightning {command_line}" in page.text
    assert f"model = vl.load('{run_with_figures}')" in page.text
    assert (run_with_figures / "config.yaml").read_text() in page.text


def test_figures_of_both_splits_stand_beside_each_other_with_their_errors(
    run_with_figures: Path, tmp_path: Path
) -> None:
    html = reports.report([run_with_figures], tmp_path / "report.html").read_text()
    found = figures(run_with_figures)
    row = re.search(r"<tr><th scope=\"row\">log likelihood</th>(.*?)</tr>", html)
    cells = re.findall(r"<td class=\"number\">(.*?)</td>", row[1])
    for split, cell in zip(("val", "test"), cells, strict=True):
        value, error = (float(part) for part in cell.split(" ± "))
        assert value == pytest.approx(found[f"{split}/log_likelihood"], abs=error / 10)
        assert error == pytest.approx(found[f"{split}/log_likelihood_error"], rel=0.06)
    assert "log likelihood error" not in html


def test_curves_and_pictures_are_told_to_those_who_do_not_see_them(run_with_figures: Path, tmp_path: Path) -> None:
    page = written(tmp_path, run_with_figures)
    drawn = [each["aria-label"] for each in page.all("svg") if each.get("role") == "img"]
    assert f"validation ends at {figures(run_with_figures)['val/nelbo']:.2f}" in next(
        d for d in drawn if d.startswith("nelbo")
    )
    images = page.all("img")
    assert [each["alt"].partition(".")[0] for each in images] == [
        "Active units (test)", "Elbo surgery (test)", "Samples (test)", "Active units (validation)",
        "Samples (validation)",
    ]  # fmt: skip
    with Image.open(run_with_figures / "pictures" / "test-samples-00000019.png") as samples:
        assert (images[2]["width"], images[2]["height"]) == tuple(map(str, samples.size))


def test_headings_go_down_one_level_at_a_time(run_with_figures: Path, tmp_path: Path) -> None:
    levels = [int(tag[1]) for tag, _ in written(tmp_path, run_with_figures).tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_nothing_that_comes_from_files_is_more_than_text(tmp_path: Path) -> None:
    """Names of folders, options, figures, columns and pictures, a study's table, and the title."""
    name = HOSTILE.replace("/", "_")
    nasty = run_folder(
        tmp_path / name, {f"val/{HOSTILE}": 1.0}, f'step,"val/{name}"\n1,2\n3,4\n'.replace('"', ""), x=HOSTILE
    )
    (nasty / "about.json").write_text(
        json.dumps({"environments": [{HOSTILE: HOSTILE}], "observations": {"val": HOSTILE}})
    )
    picture(nasty / "pictures" / f"val-{name}-00000001.png")
    other = run_folder(tmp_path / "other", {"val/nelbo": 1.0})
    table = f"# {HOSTILE}\n\n| what |\n| --- |\n| {HOSTILE} |\n\n![x](http://x/y.png) [x](javascript:x) <http://x.y>\n\n{HOSTILE}\n"
    page = written(tmp_path, nasty, other, study_folder(tmp_path / "study", table), title=HOSTILE)
    assert_harmless(page)
    assert page.text.count("<script>alert(2)</script>") > 5
    assert "{{ 7 * 7 }}" in page.text


def test_runs_are_put_side_by_side_by_what_differs(tmp_path: Path) -> None:
    watch = [{"class_path": "vae_lightning.callbacks.Samples", "init_args": {"n": 4}}]
    one = run_folder(tmp_path / "one", {"val/nelbo": 27.0, "test/nelbo": 26.0}, latent_dim=2)
    two = run_folder(tmp_path / "two", {"val/nelbo": 28.0, "test/nelbo": 27.0, "test/nelbo_error": 0.2}, latent_dim=4)
    config = (two / "config.yaml").read_text()
    (two / "config.yaml").write_text(config + json.dumps({"trainer": {"callbacks": watch}})[1:-1].replace('"', ""))
    html = reports.report([one, two], tmp_path / "report.html").read_text()
    table = html.partition("<thead>")[2].partition("</table>")[0]
    assert re.findall(r"<th scope=\"col\".*?>(.*?)</th>", table) == [
        "run",
        "latent_dim",
        "callbacks.Samples",
        "test/nelbo",
    ]
    rows = [re.findall(r"<t[dh].*?>(.*?)</t[dh]>", row) for row in table.partition("<tbody>")[2].split("</tr>")[:2]]
    assert rows == [["one", "2", "-", "26"], ["two", "4", "vae_lightning.callbacks.Samples", "27.00 ± 0.20"]]


def test_a_run_without_figures_takes_none_from_the_others(tmp_path: Path) -> None:
    figures = {"one": {"val/nelbo": 27.0}, "two": {"val/nelbo": 28.0}, "failed": {}}
    table = differences([Run(run_folder(tmp_path / name, found)) for name, found in figures.items()])
    assert [told for _, _, told in table.rows] == [["27"], ["28"], ["-"]]


def test_the_page_and_the_table_name_the_same_differences(tmp_path: Path) -> None:
    """Of two classes, too, an option of which both have one; and a logger makes no run another."""
    priors = [{"class_path": f"x.{name}", "init_args": {"k": k}} for k, name in enumerate("ABB")]
    folders = [run_folder(tmp_path / str(n), {"val/nelbo": 1.0}, prior=prior) for n, prior in enumerate(priors)]
    with (folders[0] / "config.yaml").open("a") as config:
        config.write("trainer: {logger: false}\n")
    html = reports.report(folders, tmp_path / "report.html").read_text()
    headings = re.findall(r"<th scope=\"col\".*?>(.*?)</th>", html.partition("<thead>")[2].partition("</thead>")[0])
    assert headings == ["run", "prior", "prior.k", "val/nelbo"]
    assert differing([Trained(folder).options for folder in folders]) == ["model.prior", "model.prior.k"]


def test_of_many_runs_the_best_are_shown_in_detail(tmp_path: Path) -> None:
    for number in range(12):
        run_folder(
            tmp_path / "sweep" / f"version_{number}", {"val/nelbo": 50.0 - number}, f"step,val/nelbo\n1,{number}\n"
        )
    page = written(tmp_path, tmp_path / "sweep")
    assert "In detail the page shows the 8 best by val/nelbo." in page.text
    assert [each["href"] for each in page.all("a")] == ["#together", *(f"#run-{n}" for n in range(1, 9))]
    headings = re.findall(r"<h2.*?>(.*?)</h2>", (tmp_path / "report.html").read_text())
    assert headings == ["Side by side", *(f"version_{number}" for number in range(4, 12))]


def test_runs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    folders = [run_folder(tmp_path / part / "version_0", {"val/nelbo": 1.0}) for part in ("a", "b")]
    page = written(tmp_path, *folders, folders[0])
    assert all(str(folder) in page.text for folder in folders)
    assert "2 runs" in page.text


def test_a_study_is_shown_with_its_table_and_pictures(tmp_path: Path) -> None:
    page = written(tmp_path, study_folder(tmp_path / "mixture", TABLE))
    assert_harmless(page)
    assert "A study" in page.text
    assert [tag for tag, _ in page.tags].count("td") == 2
    assert "scale: quick" in page.text
    assert len(page.all("img")) == 1


def test_a_run_from_python_has_what_its_folder_has(tmp_path: Path) -> None:
    """Without config.yaml, metrics.json or checkpoints: the ends of its curves."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.csv").write_text("epoch,step,train/loss,val/nelbo\n0,4,30,\n0,9,,28.5\n1,19,,27.5\n")
    page = written(tmp_path, tmp_path / "run")
    assert "A model built in Python for 2 epochs (20 steps)." in page.text
    assert "27.50" in page.text


@pytest.mark.parametrize(
    ("options", "said"), [((), ""), (("--data.batch_size", "10"), "data.batch_size 10 (20 before)")]
)
def test_its_commands_repeat_a_run_that_was_trained_further(
    options: tuple[str, ...], said: str, run_with_figures: Path, tmp_path: Path
) -> None:
    """One that was only trained longer by one command, one that went on with other options by two."""
    run, new = shutil.copytree(run_with_figures, tmp_path / "run"), tmp_path / "new" / "version_0"
    command("fit", "--ckpt_path", run, "--trainer.max_epochs", "3", *options)
    page = written(tmp_path, run)
    assert "for 3 epochs" in page.text
    assert "max_epochs: 3" in page.text
    assert said in page.text
    repeat = [text for _, text in commands(Run(run))[:-2]]
    assert len(repeat) == 1 + bool(options)
    for line in repeat:
        there = () if "NEW_RUN" in line else ("--trainer.logger.save_dir", new.parent)
        command(*shlex.split(line.replace("NEW_RUN", str(new)))[1:], *there)
        assert line in page.text
    ends = [saved(each / "checkpoints/last.ckpt") for each in (run, new)]
    assert ends[0]["global_step"] == ends[1]["global_step"] > 20
    assert all(value.equal(ends[1]["state_dict"][name]) for name, value in ends[0]["state_dict"].items())


def test_one_epoch_is_one(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run", {})
    (run / "about.json").write_text(json.dumps({"epochs": 1, "steps": 10}))
    assert training_length(Run(run)) == "for 1 epoch (10 steps)"


def test_what_is_no_picture_is_left_out(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run", {"val/nelbo": 1.0})
    (run / "pictures").mkdir()
    (run / "pictures" / "val-samples-00000001.png").write_text("<svg onload=alert(1)>")
    assert written(tmp_path, run).all("img") == []


def test_what_cannot_be_reported_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = run_folder(tmp_path / "run", {"val/nelbo": 1.0})
    damaged = shutil.copytree(run, tmp_path / "damaged")
    (damaged / "metrics.json").write_text("{")
    (tmp_path / "empty").mkdir()
    (tmp_path / "there.html").write_text("mine")
    out = tmp_path / "out.html"
    for arguments, complaint in (
        ([tmp_path / "none"], f"there is no folder {tmp_path}/none"),
        ([tmp_path / "empty"], "empty holds no run and no study"),
        ([damaged], "metrics.json is damaged, or no record of a run"),
        (
            [run, "--out", tmp_path / "there.html"],
            "there.html exists: give --overwrite to replace it, or another --out",
        ),
        ([run, "--out", tmp_path], "is a folder: name the file to write"),
    ):
        assert left_with(["report", "--out", str(out), *map(str, arguments)]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert complaint in line
    assert not out.exists()
    assert (tmp_path / "there.html").read_text() == "mine"


def test_the_command_says_what_it_wrote(
    run_with_figures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command("report", run_with_figures, "--out", tmp_path / "page.html", "--title", "For Ann")
    assert capsys.readouterr().out == f"report: {tmp_path}/page.html (1 run)\n"
    assert Page((tmp_path / "page.html").read_text()).text.count("For Ann") == 2
