"""A few documents in four languages, as a folder of files."""

from __future__ import annotations

from pathlib import Path

DOCUMENTS = {
    "de/eins.txt": "Größe der Straße\n\nStraße und Größe: die Größe der Straße.",
    "de/zwei.txt": "\n  Die Straße führt\tzum Fluß, der Fluß zur See.",
    "ru/один.txt": "Дом стоит у реки. Дом большой, река широкая.",
    "ru/два.txt": "Река течёт к морю; море широкое!",
    "zh/一.txt": "我们在河边。河边有房子。",
    "zh/二.txt": "房子很大，河很宽。",
    "one.txt": "The house is by the river, the river is wide.",
    "two.txt": "A river runs to the sea; the sea is wide open.",
}
"""By name: the folder is the label."""


def write_documents(folder: Path, names: list[str] | None = None) -> Path:
    """Those of these names, as files."""
    for name in DOCUMENTS if names is None else names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(DOCUMENTS[name])
    return folder
