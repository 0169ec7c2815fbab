"""CodeIndex: binary codes of documents -> the nearest ones to a text, to a document or to a code; one file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Bool
from torch import Tensor

from vae_lightning.files import expanded
from vae_lightning.search.building import are_bits, build, change, check_new, of_codes
from vae_lightning.search.documents import Documents
from vae_lightning.search.encoder import Encoder
from vae_lightning.search.hamming.lookup import Lookup
from vae_lightning.search.hamming.ranking import Finder, Near, Packed, without
from vae_lightning.search.hamming.scan import Scan
from vae_lightning.search.hits import Hits
from vae_lightning.search.maker import Maker
from vae_lightning.search.storage.container import Container
from vae_lightning.search.writing import Batch, pack

Bits = Bool[np.ndarray, "n m"] | Bool[Tensor, "n m"]
Watch = Callable[[Iterator[Batch]], Iterator[Batch]]


class CodeIndex:
    """Binary codes of documents with their names, titles, labels and top words, memory-mapped from one file.

    Search is exact: up to a million codes each is compared with the query, of more those that share a piece of their
    code with it. It is by Hamming distance, ties in the order of the documents. An index never changes: `add` and
    `remove` write another one in its place, and whoever has this one open keeps what it had. Raises ValueError for a
    file that is no index or is damaged, and for whatever else cannot be done, in one line.

    Examples:
        >>> import numpy as np
        >>> import vae_lightning as vl
        >>> codes = np.array([[0, 0, 0], [1, 1, 0], [1, 1, 1]], bool)
        >>> index = vl.CodeIndex.build(codes, ["a.txt", "b.txt", "c.txt"])
        >>> index.nearest(codes[:1], k=2).to_frame()[["name", "distance"]]
            name  distance
        0  a.txt         0
        1  b.txt         2
        >>> index.remove(["a.txt"])
        CodeIndex(2 documents, 3 bits)
    """

    def __init__(
        self, container: Container, path: Path | None = None, ckpt: Path | None = None, encoder: Encoder | None = None
    ) -> None:
        self.documents = Documents(container)
        self.path, self._container, self._ckpt, self._encoder = path, container, ckpt, encoder

    # -- from where ------------------------------------------------------------------------------------------------

    @classmethod
    def open(cls, path: str | Path, ckpt: str | Path | None = None) -> CodeIndex:
        """Open the index in a file; `ckpt` is where the checkpoint that made it is now, if it has moved."""
        place = Path(expanded(str(path)))
        return cls(Container.open(place), place, _place(ckpt))

    @classmethod
    def build(
        cls,
        codes: Bits,
        names: Sequence[Any],
        *,
        titles: Sequence[str] | None = None,
        labels: Sequence[Any] | None = None,
        out: str | Path | None = None,
        overwrite: bool = False,
    ) -> CodeIndex:
        """Make an index of codes (N, m) and names of documents, in a file `out`, or in a temporary one."""
        batch, place = of_codes(codes, names, titles, labels, 0, 0), _place(out)
        return cls(build([batch], np.shape(codes)[1], (), place, None, overwrite), place)

    @classmethod
    def of(
        cls,
        run: str | Path,
        data: Any,
        names: Sequence[Any] | None = None,
        *,
        out: str | Path | None = None,
        overwrite: bool = False,
        watch: Watch = iter,
    ) -> CodeIndex:
        """Make an index of the documents of a `Path`, or of texts, encoded by the model of a run or checkpoint."""
        place = _place(out)
        check_new(place, overwrite)
        encoder = Encoder.read(Path(run))
        batches, maker = watch(encoder.batches(data, names)), Maker.of(encoder, place)
        return cls(
            build(batches, encoder.num_bits, encoder.vocabulary, place, maker, overwrite), place, encoder=encoder
        )

    # -- what it has -----------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.documents)

    @property
    def num_bits(self) -> int:
        """The length of a code."""
        return int(self._container.said["num_bits"])

    @property
    def codes(self) -> Packed:
        """(N, bytes), mapped; eight bits a byte, the first one the lowest."""
        return self._container.array("codes")

    @property
    def maker(self) -> Maker | None:
        """The model that made the index, as its file names it; None if it was made of codes."""
        said = self._container.said["model"]
        return None if said is None else Maker(said["checkpoint"], said["path"], said["kind"])

    @cached_property
    def encoder(self) -> Encoder:
        """The model that made the index; ValueError if its checkpoint is not there or has changed."""
        if self._encoder is not None:
            return self._encoder
        if self.maker is None:
            raise ValueError(f"{self._container.name} was made of codes, by no model: search it by codes of bits")
        return self.maker.encoder(self.path, self._ckpt)

    def __repr__(self) -> str:
        place = "" if self.path is None else f", {self.path}"
        return f"CodeIndex({len(self):,} documents, {self.num_bits} bits{place})"

    def write(self, out: BinaryIO) -> None:
        """Its file again."""
        self._container.write(out)

    # -- search ----------------------------------------------------------------------------------------------------

    def nearest(self, query: Any, k: int = 10, *, exact: bool = False) -> Hits:
        """The k documents nearest to each query, or all if they are fewer.

        A query is a text, several are a list of texts; or codes (m,) or (Q, m) of bits; or whatever else the model that
        made the index reads. With `exact` every code is compared, which takes longer and finds the same.
        """
        codes, unknown = self._coded(query)
        return self.hits(self.finder(exact).nearest(codes, _at_least_one(k)), unknown)

    def nearest_to(self, name: Any, k: int = 10) -> Hits:
        """The k documents nearest to one of the index, without itself."""
        row = self.row(name)
        (near,) = self.finder().nearest(self.codes[row : row + 1], min(_at_least_one(k) + 1, len(self)))
        return self.hits([without(near, row)], [[]])

    def row(self, name: Any) -> int:
        """The number of the document of this name; ValueError if there is none."""
        row = self.documents.row(str(name))
        if row is None:
            raise ValueError(f"{self._container.name} has no document {name!r}")
        return row

    def finder(self, exact: bool = False) -> Finder:
        """The search: by the tables of a large index, or by comparing every code."""
        return self._lookup if "order0" in self._container and not exact else self._scan

    @cached_property
    def _scan(self) -> Scan:
        return Scan(self.codes)

    @cached_property
    def _lookup(self) -> Lookup:
        return Lookup.of(self._container, self.num_bits)

    def hits(self, near: Sequence[Near], unknown: Sequence[Sequence[str]]) -> Hits:
        """The documents of these rows."""
        rows = [row for each in near for row in each.rows.tolist()]
        documents = self.documents
        return Hits(
            [documents.name(row) for row in rows],
            query=np.repeat(np.arange(len(near)), [len(each.rows) for each in near]),
            distance=np.concatenate([each.distances for each in near]).astype(np.int64),
            label=np.array([documents.label(row) for row in rows], object),
            title=np.array([documents.title(row) for row in rows], object),
            words=np.array([" ".join(documents.words(row)) for row in rows], object),
            tied=[each.tied for each in near],
            unknown=unknown,
        )

    def _coded(self, query: Any) -> tuple[Packed, Sequence[Sequence[str]]]:
        texts = [query] if isinstance(query, str) else query
        if isinstance(texts, list | tuple) and texts and all(isinstance(text, str) for text in texts):
            return self.encoder.queries(texts)
        if are_bits(query):
            bits = np.atleast_2d(np.asarray(query))
            if bits.ndim != 2 or bits.shape[1] != self.num_bits or not len(bits):
                raise ValueError(f"the index has codes of {self.num_bits} bits, the query has the shape {bits.shape}")
            return pack(bits), [[] for _ in bits]
        codes = self.encoder.codes(query)
        return codes, [[] for _ in codes]

    # -- another one in its place ----------------------------------------------------------------------------------

    def add(
        self,
        data: Any,
        names: Sequence[Any] | None = None,
        *,
        titles: Sequence[str] | None = None,
        labels: Sequence[Any] | None = None,
        watch: Watch = iter,
    ) -> CodeIndex:
        """Add documents: codes (N, m) of bits with their names, or a `Path` or texts, which the model encodes.

        Titles and labels are of codes alone: texts have first lines, and a file of texts has labels.
        """
        return self.change(self._batches(data, names, titles, labels, watch), [])

    def remove(self, names: Any) -> CodeIndex:
        """Remove the documents of these names, or of one; ValueError if one is not there."""
        return self.change([], names)

    def change(self, new: Iterable[Batch], removed: Any) -> CodeIndex:
        """Remove the documents of these names, or of one, and add new ones behind the others."""
        kept, one = np.ones(len(self), bool), isinstance(removed, str) or not isinstance(removed, Iterable)
        kept[[self.row(name) for name in ([removed] if one else removed)]] = False
        container = change(self._container, kept, new, self.path, self.maker)
        return CodeIndex(container, self.path, self._ckpt, self._encoder)

    def _batches(self, data: Any, names: Any, titles: Any, labels: Any, watch: Watch) -> Iterable[Batch]:
        if not are_bits(data):
            if titles is not None or labels is not None:
                raise ValueError(
                    "titles and labels are given with codes: of texts the first line is the title, and labels are read "
                    "from a file that has them, such as a .csv with a column label"
                )
            return watch(self.encoder.batches(data, names))
        if names is None:
            raise ValueError(f"{len(data)} codes need as many names, by which their documents are found")
        return [of_codes(data, names, titles, labels, self.num_bits, self._container.shape("words")[1])]


def _place(path: str | Path | None) -> Path | None:
    return None if path is None else Path(expanded(str(path)))


def _at_least_one(k: int) -> int:
    if k < 1:
        raise ValueError(f"k, how many documents to show, must be at least 1; got {k}")
    return k
