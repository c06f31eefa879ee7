"""The README keeps what it promises: tables equal to the code, links that lead somewhere."""

import re
from pathlib import Path

from scripts.readme_tables import with_tables

REPOSITORY = Path(__file__).parent.parent
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def test_tables_equal_the_code() -> None:
    """Settings and exit codes in the README are those of the code; `make format` brings them up to date."""
    assert with_tables(README) == README


def test_links_inside_the_repository_lead_somewhere() -> None:
    """No relative link or picture is dead."""
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)|src=\"([^\"]+)\"", README)
    paths = [target for pair in targets for target in pair if target and "://" not in target]
    assert paths
    assert [path for path in paths if not (REPOSITORY / path).exists()] == []


def test_commands_of_the_makefile_exist() -> None:
    """Every `make` verb the README names is a target."""
    targets = set(re.findall(r"^([a-z]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", README, re.MULTILINE))
    assert named
    assert named <= targets
