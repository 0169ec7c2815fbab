"""Parser of `index` and `search`: the words of a command line -> their options, before anything is imported."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from vae_lightning.messages import CommandParser

_INDEX = """
Write the hashes of documents into a file that `vae-lightning search --index` reads, or change such a file.

  vae-lightning index --ckpt runs/version_0 --data docs/                  writes docs.index
  vae-lightning index --out docs.index --add new/ --remove old.txt a.txt  changes it
  vae-lightning index --ckpt runs/version_0                               training documents, beside the checkpoint

Documents are a folder of .txt, a .csv, .tsv, .jsonl or .parquet with a column `text`, or a matrix of counts. They are
read and encoded some at a time. The file keeps names, first lines, labels and top words, but not the texts. It also
keeps where its checkpoint is: move the two together. A program that reads the file while it changes sees it as it was
before. In Python: vae_lightning.CodeIndex
"""
_SEARCH = """
Print the documents whose hashes are nearest to that of a text or of a document.

  vae-lightning search --index docs.index --query "the river is wide"
  vae-lightning search --index docs.index --queries questions.txt --k 3 --json
  vae-lightning search --ckpt runs/version_0 --query "the river is wide"
  vae-lightning search --ckpt checkpoints/newsgroups-8bit.ckpt --document train/123

With --ckpt the training documents are searched. The first search encodes them, for which it needs the data, and saves
their index beside the checkpoint (CKPT.index). Later searches read the index, and one by a text needs no data then. The
index is built again when the checkpoint has changed. Documents are ordered by their exact Hamming distance, and those
at equal distance by their order in the data.
"""


def parsed_index(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of `index`; SystemExit after its help, or one that it does not know."""
    parser = CommandParser("index", _INDEX)
    parser.add_argument("--ckpt", type=Path, help="a run's folder, or a checkpoint of a model that hashes")
    parser.add_argument("--data", type=Path, help="the documents; default: those of the training")
    parser.add_argument("--out", type=Path, help="the file; default: the name of the data with .index")
    parser.add_argument("--add", type=Path, nargs="+", default=[], metavar="PATH", help="documents to add to --out")
    parser.add_argument(
        "--remove", nargs="+", default=[], metavar="NAME", help="names of documents to remove from --out"
    )
    parser.add_argument("--overwrite", action="store_true", help="write a file anew that exists")
    return parser.parse(arguments)


def parsed_search(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of `search`; SystemExit after its help, or one that it does not know."""
    parser = CommandParser("search", _SEARCH)
    where = parser.add_argument_group("where")
    where.add_argument("--index", type=Path, help="a file that `vae-lightning index` wrote")
    where.add_argument("--ckpt", type=Path, help="a run's folder or a checkpoint, to search its training documents; "
                       "with --index, the checkpoint that made the index, if it has moved")  # fmt: skip
    where.add_argument("--data", type=Path, help="with --ckpt, where the training data are, if they have moved")
    what = parser.add_argument_group("what")
    what.add_argument(
        "--query", metavar="TEXT", help="a text; words that the model does not know are named, and left out"
    )
    what.add_argument("--queries", type=Path, metavar="FILE", help="texts, one a line")
    what.add_argument("--document", metavar="NAME", help="a document by its name in the index; of 20 Newsgroups "
                      "train/123 or test/45: its part of the archive and its number there")  # fmt: skip
    parser.add_argument("--k", type=int, default=10, help="how many documents (default: 10)")
    parser.add_argument("--json", action="store_true", help="print a JSON object for each query in place of a table")
    parser.add_argument(
        "--exact", action="store_true", help="compare with every code, which finds the same documents more slowly"
    )
    return parser.parse(arguments)
