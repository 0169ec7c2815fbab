"""Any program does after a pass, and after all, what it does as it is written."""

from __future__ import annotations

from hypothesis import given, settings
from support.programs import Program, after_all, assert_same, laid_out, programs, with_constants, without_identities


@settings(max_examples=20)
@given(programs())
def test_to_the_bit(program: Program) -> None:
    assert_same(without_identities(program), program)
    assert_same(with_constants(program), program)


@settings(max_examples=20)
@given(programs())
def test_but_for_rounding_where_the_layout_changes(program: Program) -> None:
    assert_same(laid_out(program), program, rtol=1e-5, atol=1e-5)
    assert_same(after_all(program), program, rtol=1e-5, atol=1e-5)
