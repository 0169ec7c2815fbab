"""Documents: rows of an index -> their names, titles, labels and top words, of which no more is read than is asked."""

from __future__ import annotations

from typing import Any

from vae_lightning.search.storage.container import Container
from vae_lightning.search.writing import FORMAT, STRINGS, hashes

_SAID: dict[str, type | tuple[type, ...]] = {
    "format": int,
    "num_bits": int,
    "labels": list,
    "model": (dict, type(None)),
}
_MODEL = {"checkpoint", "path", "kind"}
_MOST_BITS = 1 << 16


class Documents:
    """What an index shows of its documents."""

    def __init__(self, container: Container) -> None:
        self._container = container
        _check(container)
        self._labels: list[str] = container.said["labels"]

    def __len__(self) -> int:
        return self._container.shape("codes")[0]

    def name(self, row: int) -> str:
        """Its name in the data that it came from."""
        return self._string("names", row)

    def title(self, row: int) -> str:
        """Its title or first line; empty if none is known."""
        return self._string("titles", row)

    def label(self, row: int) -> str:
        """Its label; empty if it has none."""
        number = int(self._container.rows("labels", row, row + 1)[0])
        if number > len(self._labels):
            raise self._container.damaged("it has labels without a name")
        return self._labels[number - 1] if number else ""

    def words(self, row: int) -> list[str]:
        """Its top words, best first."""
        numbers = self._container.rows("words", row, row + 1)[0].tolist()
        if max(numbers, default=0) > self._container.shape("vocabulary.ends")[0]:
            raise self._container.damaged("it has words that its vocabulary has not")
        return [self._string("vocabulary", number - 1) for number in numbers if number]

    @property
    def vocabulary(self) -> list[str]:
        """The words that top words are of."""
        return [self._string("vocabulary", number) for number in range(self._container.shape("vocabulary.ends")[0])]

    def row(self, name: str) -> int | None:
        """The row of the document of this name, if there is one."""
        places = (self._container.array("hashes") == hashes([name])[0]).nonzero()[0].tolist()
        return next((place for place in places if self.name(place) == _as_kept(name)), None)

    def _string(self, name: str, row: int) -> str:
        ends = self._container.rows(f"{name}.ends", max(row - 1, 0), row + 1).tolist()
        start, stop = ends if row else (0, ends[0])
        if not start <= stop <= self._container.shape(f"{name}.bytes")[0]:
            raise self._container.damaged(f"its {name} end before they begin")
        return self._container.rows(f"{name}.bytes", start, stop).tobytes().decode(errors="replace")


def _as_kept(name: str) -> str:
    return name.encode(errors="backslashreplace").decode()


def _check(container: Container) -> None:
    """ValueError unless every document has a code, a name and all else."""
    said = container.said
    if not all(name in said and isinstance(said[name], kind) for name, kind in _SAID.items()):
        raise container.damaged("its record has not what that of an index has")
    if said["format"] != FORMAT:
        raise ValueError(f"{container.name} is an index of format {said['format']!r:.20}, and {FORMAT} is read here")
    if not all(isinstance(label, str) for label in said["labels"]) or not _is_model(said["model"]):
        raise container.damaged("its record has not what that of an index has")
    num, bits = container.shape("codes")[0], said["num_bits"]
    shapes: dict[str, Any] = dict.fromkeys(("hashes", "labels", *(f"{name}.ends" for name in STRINGS)), (num,))
    shapes["codes"], shapes["words"] = (num, -(-bits // 8)), (num, *container.shape("words")[1:])
    one_column = [f"{name}.bytes" for name in (*STRINGS, "vocabulary")] + ["vocabulary.ends"]
    if (
        not num
        or not 1 <= bits <= _MOST_BITS
        or any(container.shape(name) != shape for name, shape in shapes.items())
        or len(shapes["words"]) != 2
        or any(len(container.shape(name)) != 1 for name in one_column)
    ):
        raise container.damaged("its arrays are not of one length")


def _is_model(said: object) -> bool:
    if said is None:
        return True
    return isinstance(said, dict) and said.keys() == _MODEL and all(isinstance(value, str) for value in said.values())
