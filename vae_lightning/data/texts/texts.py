"""Texts: a folder or file of somebody's own documents -> sparse batches (Counts, labels) over their best words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.construction.hyperparameters import only_plain
from vae_lightning.data.loaders import Observations
from vae_lightning.data.protocols import SplitName
from vae_lightning.data.reading import user_path
from vae_lightning.data.splits import stratified_rows
from vae_lightning.data.texts.base import BagsOfWords
from vae_lightning.data.texts.cache import cached_texts
from vae_lightning.data.texts.corpus import Corpus
from vae_lightning.data.texts.formats import reader_of
from vae_lightning.data.texts.readers import Reader
from vae_lightning.data.texts.tokenizers import Tokenizer, UnicodeWords
from vae_lightning.data.texts.vocabulary import ByCount, Ranking, StopWords, best_words, keep_words


class Texts(BagsOfWords):
    """Your own documents: a folder of .txt, a .csv, .tsv, .jsonl or .parquet, or a matrix of counts with its words.

    The format is known by the ending. A folder's sub-folders are labels. A table has a column `text`, and `label` and
    `id` if there are any; `reader: {class_path: vae_lightning.data.texts.CSV, init_args: {text: body}}` names others.
    scipy's .npz and .mtx, UCI's docword.NAME.txt[.gz], lda-c's .ldac and .svmlight have their vocabulary beside them.
    The vocabulary is the `num_words` best words of the training documents by `ranking`, or all there are. A document
    without any of them stays, empty. `names[i]` names the document of id i. Validation and test documents are chosen by
    `split_seed`, in proportion to the labels. Raises ValueError, in one line, for whatever cannot be read.

    Args:
        path: the folder or file.
        reader: its format, by default that of its ending.
        tokenizer: cuts a text into words; by default `UnicodeWords()`.
        num_words: the size of the vocabulary at most.
        ranking: which words are best, by default `ByCount()`, the most frequent.
        stop_words: words to leave out.
        min_documents: training documents that a word must occur in.
        val_size: validation documents, a share below 1 or how many.
        test_size: likewise, for the test.
        split_seed: chooses them.
        batch_size: training documents of a process and step.
        eval_batch_size: documents of a batch of evaluation.
        predict_split: which split `predict` answers for.

    Examples:
        >>> from pathlib import Path
        >>> from tempfile import mkdtemp
        >>> from vae_lightning.data import Texts
        >>> path = Path(mkdtemp(), "own.csv")
        >>> _ = path.write_text("text,label\\nThe river is wide,water\\nA wide field,land\\n")
        >>> data = Texts(path, val_size=0, test_size=0)
        >>> data.setup()
        >>> data.words, data.label_names
        (['wide', 'a', 'field', 'is', 'river', 'the'], ['land', 'water'])
    """

    names: Sequence[str] = ()

    def __init__(
        self,
        path: str | Path,
        *,
        reader: Reader | None = None,
        tokenizer: Tokenizer | None = None,
        num_words: int = 10_000,
        ranking: Ranking | None = None,
        stop_words: StopWords | None = None,
        min_documents: int = 1,
        val_size: int | float = 0.1,
        test_size: int | float = 0.1,
        split_seed: int = 0,
        batch_size: int = 128,
        eval_batch_size: int = 512,
        predict_split: SplitName = "test",
    ) -> None:
        check_kinds(Texts, locals())
        super().__init__(batch_size, eval_batch_size, predict_split)
        path = str(path)
        with only_plain(self):
            self.save_hyperparameters(logger=False)
        for name, value, least in (("num_words", num_words, 2), ("min_documents", min_documents, 1)):
            if value < least:
                raise ValueError(f"{name} must be at least {least}, got {value}")
        self.path, self.reader, self.tokenizer = path, reader, tokenizer or UnicodeWords()
        self.most_words, self.min_documents = num_words, min_documents
        self.ranking, self.stop_words = ranking or ByCount(), stop_words
        self.sizes, self.split_seed = {"val_size": val_size, "test_size": test_size}, split_seed
        self._corpus: Corpus | None = None  # what was prepared and not loaded yet

    @property
    def num_words(self) -> int:
        """How many words the vocabulary has; reads the documents if nobody has yet."""
        self.setup()
        return len(self.words)

    def prepare_data(self) -> None:
        """Count the words into the cache, on one process."""
        if not self._splits:
            self._corpus = self._read()

    def load(self) -> tuple[Observations, Observations, Observations]:
        """The three splits over the chosen words."""
        corpus = self._read() if self._corpus is None else self._corpus
        self._corpus = None
        self.names, self.label_names = corpus.names, corpus.label_names
        val, test, train = (rows.sort().values for rows in self._rows(corpus))
        seen = np.sort(torch.cat([train, val]).numpy())
        chosen = best_words(
            corpus.documents, corpus.words, self.most_words, self.ranking, self.stop_words, self.min_documents, seen
        )
        if len(chosen) < 2:
            less = ": lower data.min_documents to 1" if self.min_documents > 1 and len(corpus.words) > 1 else ""
            raise ValueError(
                f"{self.path}: {len(chosen)} words are left of {len(corpus.words)} in its {len(corpus)} documents, and "
                f"a vocabulary needs 2{less}"
            )
        self.words = [corpus.words[n] for n in chosen]
        of_train, of_val, of_test = (_observations(corpus, chosen, rows) for rows in (train, val, test))
        splits: dict[SplitName, Observations] = {"train": of_train, "val": of_val, "test": of_test}
        occurrences = sum(int(piece.counts.sum()) for piece in corpus.documents.pieces(seen))
        self.report(Path(self.path).name, len(corpus.words), occurrences, splits)
        return of_train, of_val, of_test

    def _read(self) -> Corpus:
        path = user_path(self.path)
        return cached_texts(path, self.reader or reader_of(path), self.tokenizer)

    def _rows(self, corpus: Corpus) -> list[torch.Tensor]:
        if not len(corpus):
            raise ValueError(f"{self.path} has no documents")
        return stratified_rows(torch.from_numpy(corpus.documents.labels.copy()), dict(self.sizes), self.split_seed)


def _observations(corpus: Corpus, chosen: NDArray[np.int64], rows: torch.Tensor) -> Observations:
    """The documents of these rows; the row is the id."""
    places = rows.numpy()
    counts = keep_words(corpus.documents, chosen, len(corpus.words), places)
    return Observations(counts, torch.from_numpy(corpus.documents.labels[places]), rows)
