"""The house in numbers: how long its functions and files are, how full its rooms, how much is asked for by name.

python benchmarks/house.py        (or make measure; prints a table: what, found, aim, met)

Functions are counted without their docstrings. A room is a folder, its files those beside `__init__.py`. A duplicate is
a run of six lines of code that stands twice, without imports and lines that end or begin a call. A cycle is a circle of
imports.
"""

from __future__ import annotations

import ast
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grimp

PACKAGE = Path(__file__).parent.parent / "vae_lightning"
RUN = 6  # lines
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Measure:
    """One number of the house, and what it should be at most."""

    what: str
    found: float
    aim: float

    def row(self) -> str:
        """One Markdown table row."""
        return f"| {self.what} | {self.found:g} | {self.aim:g} | {'yes' if self.found <= self.aim else 'no'} |"


def measures(package: Path) -> list[Measure]:
    """All of them, of a package's files."""
    texts = {path: path.read_text() for path in sorted(package.rglob("*.py"))}
    trees = {path: ast.parse(text) for path, text in texts.items()}
    lines = sum(text.count("\n") for text in texts.values())
    nodes = [node for tree in trees.values() for node in ast.walk(tree)]
    functions = [length(node) for node in nodes if isinstance(node, FUNCTION)]
    parameters = [parameter for node in nodes if isinstance(node, FUNCTION) for parameter in typed(node)]
    rooms = Counter(path.parent for path in texts if path.name != "__init__.py")
    return [
        Measure("getattr and hasattr per 1,000 lines", round(1000 * sum(map(asks_by_name, nodes)) / lines, 2), 1.0),
        Measure("parameters typed Any, %", round(100 * statistics.mean(map(says_any, parameters)), 1), 3),
        Measure("median function, lines", statistics.median(functions), 4),
        Measure("90th percentile function, lines", statistics.quantiles(functions, n=10)[-1], 12),
        Measure("functions over 30 lines", sum(length > 30 for length in functions), 0),
        Measure("files over 250 lines", sum(text.count("\n") > 250 for text in texts.values()), 0),
        Measure("rooms of more than 16 files", sum(size > 16 for size in rooms.values()), 0),
        Measure("duplicates of six lines", len(list(duplicates(texts))), 10),
        Measure("cycles", cycles(package.name), 0),
    ]


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` on, without the docstring."""
    assert function.end_lineno is not None
    first, *_ = function.body
    docstring = 0
    if ast.get_docstring(function) is not None and first.end_lineno is not None:
        docstring = first.end_lineno - first.lineno + 1
    return function.end_lineno - function.lineno + 1 - docstring


def typed(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.arg]:
    """The parameters that have a type to say."""
    return [a for a in (*function.args.args, *function.args.kwonlyargs) if a.arg not in ("self", "cls")]


def says_any(parameter: ast.arg) -> bool:
    """Whether its type is Any, or a union with it."""
    return parameter.annotation is not None and ast.unparse(parameter.annotation).split(" | ").count("Any") > 0


def asks_by_name(node: ast.AST) -> bool:
    """Whether this is a call of getattr or hasattr."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("getattr", "hasattr")


def duplicates(texts: dict[Path, str]) -> Iterator[tuple[str, str]]:
    """Pairs of places whose next six lines of code are the same, each run once."""
    places = defaultdict(list)
    for path, text in texts.items():
        code = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if says_something(line)]
        for start in range(len(code) - RUN + 1):
            run = code[start : start + RUN]
            places[tuple(line for _, line in run)].append((path, start, run[0][0]))
    every = [pair for found in places.values() for pair in pairs(found)]
    going_on = {(path, start + 1, other, at + 1) for (path, start, _), (other, at, _) in every}
    for (path, start, line), (other, at, there) in every:
        if (path, start, other, at) not in going_on:
            yield f"{path}:{line}", f"{other}:{there}"


def pairs(found: list[tuple[Path, int, int]]) -> Iterator[tuple[tuple[Path, int, int], tuple[Path, int, int]]]:
    """Every two places of a run."""
    yield from ((one, other) for number, one in enumerate(found) for other in found[number + 1 :])


def says_something(line: str) -> bool:
    """Whether a line is more than an import, a bracket or a name in a list."""
    line = line.strip()
    return len(line) > 3 and not line.startswith(("import ", "from ", '"', "#", ")")) and not line.isidentifier()


def cycles(package: str) -> int:
    """Modules that reach themselves through their imports."""
    graph = grimp.build_graph(package)
    arrows = [(module, other) for module in graph.modules for other in graph.find_modules_directly_imported_by(module)]
    return sum(graph.chain_exists(other, module) for module, other in arrows)


if __name__ == "__main__":
    print("| what | found | aim | met |\n|---|---|---|---|")
    print("\n".join(measure.row() for measure in measures(PACKAGE)))
