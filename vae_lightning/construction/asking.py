"""Asking: a protocol whose members may be submodules -> isinstance that finds them, on every version of Python."""

from __future__ import annotations

from typing import _ProtocolMeta


class AsksTheObject(_ProtocolMeta):
    """The metaclass of a runtime-checkable protocol that looks at objects as Python 3.11 did, by what they answer.

    From 3.12 on, isinstance looks past `__getattr__`, by which a module has its submodules, parameters and buffers.
    """

    def __instancecheck__(cls, instance: object) -> bool:
        """Whether it has all members."""
        if super().__instancecheck__(instance):
            return True
        members = vars(cls).get("__protocol_attrs__", ())  # no such thing before 3.12, which has just asked for them
        return bool(members) and all(hasattr(instance, name) for name in members)
