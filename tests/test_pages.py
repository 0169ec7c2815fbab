"""What compares pages with what their code prints: it sees a wrong digit, and output that nothing prints."""

from __future__ import annotations

import pytest
from support.pages import differences, shown_and_printed, unproduced

PAGE = "A page.\n\n```python\nx = 2 / 3\nprint(f'{{x:.3f}} nats')\n```\n\nprints\n\n```text\n{}\n```\n"


@pytest.mark.parametrize("shown", ["0.667 nats", "0.666 nats", "0.67 nats", "0.7 nats"])
def test_numbers_are_compared_to_the_digits_shown(shown: str) -> None:
    (pair,) = shown_and_printed(PAGE.format(shown))
    assert differences(*pair) == []


@pytest.mark.parametrize(
    "shown", ["0.665 nats", "0.669 nats", "0.65 nats", "-0.667 nats", "0.667 bits", "0.667", "1 nats"]
)
def test_anything_else_is_a_difference(shown: str) -> None:
    (pair,) = shown_and_printed(PAGE.format(shown))
    assert differences(*pair)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("N = 359", "N = 360"),
        ("1.20e-05", "1.22e-05"),
        ("a 1.0\nb", "a 1.0"),
        ("a 1.0", "a 1.0\nb"),
        ("1 2", "1"),
        ("", "1"),
    ],
)
def test_whole_numbers_exponents_and_lines_count(shown: str, printed: str) -> None:
    assert differences(shown, printed)
    assert not differences(printed, printed)


def test_columns_may_be_padded_otherwise() -> None:
    assert differences("rate    9.999 +- 0.1", "rate   10.000 +- 0.1") == []
    assert differences("1.20e-05", "1.21e-05") == []


def test_code_sees_what_earlier_code_made_and_shows_what_it_alone_prints() -> None:
    page = "```python\nx = 1\nprint('unseen')\n```\n\n```python\nprint(x + 1)\n```\n\n```text\n2\n```\n"
    assert list(shown_and_printed(page)) == [("2\n", "2\n")]


def test_commands_that_show_output_are_run() -> None:
    page = "```sh\nvae-lightning --help  # what there is\n```\n\n```text\n{}\n```\n\n```sh\nrm unseen\n```\n"
    ((_, printed),) = shown_and_printed(page)
    assert printed.startswith("usage") or "vae-lightning" in printed
    with pytest.raises(AssertionError, match="only vae-lightning's output"):
        list(shown_and_printed(page.replace("vae-lightning --help", "ls")))
    with pytest.raises(AssertionError, match="only vae-lightning's output"):
        list(shown_and_printed(page, every_command=True))


@pytest.mark.parametrize(
    ("page", "complaint"),
    [
        ("```\n1.5\n```\n", "a block of no language"),
        ("```console\n1.5\n```\n", "a block of console"),
        ("```text\n1.5\n```\n", "text that no code prints"),
        ("```yaml\na: 1\n```\n\n```text\n1.5\n```\n", "text that no code prints"),
        (PAGE.format(1) + "\n```text\n1.5\n```\n", "text that no code prints"),
        ("```python\nprint(x)  # 1.5\n```\n", "a figure that is not printed: # 1.5"),
        ("It prints\n\n    1.5 nats\n", "a figure that is not printed:     1.5 nats"),
        ("``` python\nprint(1)\n```\n", "a fence that is not read"),
        ("- a list\n  ```\n  1.5\n  ```\n", "a fence that is not read"),
        ("~~~\n1.5\n~~~\n", "a fence that is not read"),
    ],
)
def test_what_nothing_prints_is_found(page: str, complaint: str) -> None:
    assert any(found.startswith(complaint) for found in unproduced(page)), unproduced(page)


def test_a_page_that_shows_what_it_prints_is_in_order() -> None:
    assert (
        unproduced(
            PAGE.format(1) + "\n    L_K = E log 1/K sum_k w_k\n\n```sh\nmake demo\n```\n\n```yaml\na: 1.5\n```\n"
        )
        == []
    )
