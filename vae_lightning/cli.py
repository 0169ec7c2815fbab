"""The command `vae-lightning`: dispatches lazily, so that `--help` answers at once."""

from __future__ import annotations

import os
import signal
import sys
import sysconfig
from collections.abc import Sequence
from contextvars import copy_context
from pkgutil import resolve_name

from vae_lightning.commands.importing import importing
from vae_lightning.commands.surroundings import surroundings
from vae_lightning.messages import in_one_line, silent_event_writers
from vae_lightning.signals import Interrupted, signals

HELP = """usage: vae-lightning COMMAND [options]

Train latent-variable models and see where their approximation goes wrong.

train and evaluate (PyTorch Lightning; every option is also a key of a YAML file)
  fit          your own texts:           vae-lightning fit --config text --data.path docs/
               your own table:           vae-lightning fit --config table --data.path rows.csv
               your own pictures:        vae-lightning fit --config images --data.path photos/
               digits, no download:      vae-lightning fit --config digits/vae
               an RBM of them:           vae-lightning fit --config rbm/digits
               fifty restarts at once:   vae-lightning fit --config libi/ensemble
               a hash of 20 Newsgroups:  vae-lightning fit --config newsgroups/8bit
               resume it exactly:        vae-lightning fit --ckpt_path runs/version_0
               change anything:          ... --trainer.max_epochs 50 --data.batch_size 256
               on two processes:         ... --config trainer/ddp
               add a diagnostic:         ... --trainer.callbacks+ vae_lightning.callbacks.HenzeZirkler
               read what it tells:       ... --trainer.callbacks.help vae_lightning.callbacks.HenzeZirkler
  validate     figures on the validation split of a checkpoint (--ckpt_path)
  test         figures on the test split, read once, after selection (--ckpt_path)
  predict      write the codes of the test split as .npz, with their ids (--ckpt_path)

choose
  sweep        train every combination: vae-lightning sweep --config C.yaml --grid.model.latent_dim 8,16 --jobs 2
  compare      runs in a table, the best first: vae-lightning compare runs/sweep --by val/nelbo

use a model, by its checkpoint or its run's folder (--ckpt), on data of the kind it was trained on (--data)
  encode       codes of data:            vae-lightning encode --ckpt runs/version_0 --data photos/ --out codes.npz
  decode       data from codes:          ... --data codes.npz --out pictures/
  reconstruct  what the model makes of data: ... --data photos/ --out grid.png
  interpolate  from each row to the next: ... --data photos/ --out lines.png
  sample       new rows:                 vae-lightning sample --ckpt runs/version_0 --n 64 --out grid.png
  score        log-likelihood of each row: vae-lightning score --ckpt runs/version_0 --data rows.csv --out scores.csv
  impute       fill in missing entries:  ... --data rows.csv --out whole.csv

search and reproduce
  index        hash documents of your own into a file: vae-lightning index --ckpt runs/version_0 --data docs/
  search       nearest documents by their hashes: vae-lightning search --index docs.index (or --ckpt RUN) --query "text"
  reproduce    a paper's experiment, its table and picture: vae-lightning reproduce mixture (or libi, ..., all)

tell others
  report       one page about runs, sweeps or studies: vae-lightning report runs/version_0 --out report.html
  card         the model card of a run: vae-lightning card runs/version_0 --out model-card.md
  export       a checkpoint to send, or programs: vae-lightning export --ckpt runs/version_0 --to model.ckpt (or .pt2)

`vae-lightning COMMAND --help` teaches each one; `--print_config` shows a run's whole configuration.
Watch runs with `tensorboard --logdir runs`. Data is found in $VAE_LIGHTNING_DATA (default ~/.cache/vae-lightning).
"""


COMMANDS = {  # each is a function of the words behind its name, imported when it is asked for
    "fit": "vae_lightning.commands.entries:fit",
    "validate": "vae_lightning.commands.entries:validate",
    "test": "vae_lightning.commands.entries:test",
    "predict": "vae_lightning.commands.entries:predict",
    "sweep": "vae_lightning.sweeps.sweep:sweep",
    "compare": "vae_lightning.sweeps.comparison.compare:compare",
    "encode": "vae_lightning.commands.entries:encode",
    "decode": "vae_lightning.commands.entries:decode",
    "reconstruct": "vae_lightning.commands.entries:reconstruct",
    "interpolate": "vae_lightning.commands.entries:interpolate",
    "sample": "vae_lightning.commands.entries:sample",
    "score": "vae_lightning.commands.entries:score",
    "impute": "vae_lightning.commands.entries:impute",
    "index": "vae_lightning.commands.entries:index",
    "search": "vae_lightning.commands.entries:search",
    "reproduce": "vae_lightning.commands.entries:reproduce",
    "report": "vae_lightning.commands.entries:report",
    "card": "vae_lightning.commands.entries:card",
    "export": "vae_lightning.commands.entries:export",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; a user's mistake ends in one line on standard error and exit status 1.

    It leaves the process as it was, so that a program may run several. Where nobody reads what it prints any more, as
    after `| head`, it ends as if by SIGPIPE, which Python ignores.
    """
    try:
        try:
            _run(arguments)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except OSError as error:  # of what was printed last; any other has been told in one line
        if os.environ.get("VAE_LIGHTNING_TRACEBACK") and not isinstance(error, BrokenPipeError):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what waits is written as the process ends
        if isinstance(error, BrokenPipeError):
            raise SystemExit(128 + signal.SIGPIPE) from None
        print(f"vae-lightning: what it prints cannot be written: {error.strerror}", file=sys.stderr)
        raise SystemExit(1) from None


def _run(arguments: Sequence[str] | None) -> None:
    command, *rest = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if command in ("-h", "--help"):
        print(HELP, end="")
    elif command == "--version":
        from vae_lightning import __version__

        print(f"vae-lightning {__version__}")
    elif command not in COMMANDS:
        print(f"vae-lightning: no command '{command}'; there are {', '.join(COMMANDS)}; see --help", file=sys.stderr)
        raise SystemExit(2)
    else:
        with surroundings():
            copy_context().run(_one_line_errors, COMMANDS[command], rest)  # jsonargparse's has the last parser


def _one_line_errors(command: str, arguments: list[str]) -> None:
    status: int | str | None = 0
    try:
        with signals.handling(), silent_event_writers():
            with importing():
                run = resolve_name(command)
            run(arguments)
            signals.answer()
    except Interrupted as end:
        status = end.code
        if os.environ.get("LOCAL_RANK", "0") == "0":  # one of the processes says it
            _say(f"stopped by {end.name}", end)
    except Exception as error:
        if os.environ.get("VAE_LIGHTNING_TRACEBACK") or not _is_user_error(error):
            raise
        # the hint keeps a real defect debuggable: not every ValueError is the user's
        words = f"{in_one_line(_described(error))} (VAE_LIGHTNING_TRACEBACK=1 shows where)"
        _say("another process of this run has ended" if _is_peer_error(error) else words, error)
        status = 1
    if "torch" in sys.modules:
        from vae_lightning.process import leave_process_group

        leave_process_group()  # here, where no exception's frames hold the trainer any more
    if status:
        raise SystemExit(status)


def _say(what: str, error: BaseException) -> None:
    """One line, with the way out that was noted on the way."""
    notes: list[str] = vars(error).get("__notes__", [])
    print(f"vae-lightning: {'; '.join([what, *notes])}", file=sys.stderr)


def _is_user_error(error: Exception) -> bool:
    """Whether the error is about what the user asked for: it is of a kind that says so, or a library raised it.

    For any other, such as a KeyError in this project's or the user's own code, the traceback is what helps.
    """
    if isinstance(error, ValueError | TypeError | OSError | ImportError):
        return True
    where = error.__traceback__
    while where is not None and where.tb_next is not None:
        where = where.tb_next
    libraries = [sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib")]
    return where is not None and where.tb_frame.f_code.co_filename.startswith(tuple(libraries))


def _described(error: Exception) -> str:
    """The error's text, after its kind where the text alone may be a bare name, as a KeyError's."""
    spoken = isinstance(error, ValueError | TypeError | OSError | RuntimeError) or type(error).__name__.startswith(
        "Mis"
    )
    return str(error) if spoken and str(error) else f"{type(error).__name__}: {error}"


def _is_peer_error(error: Exception) -> bool:
    """Whether the error says that another process of the run has ended."""
    if "torch" not in sys.modules:
        return False
    from vae_lightning.process import peer_failed

    return peer_failed(error)
