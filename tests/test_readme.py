"""What is written and made from the code keeps what it promises: tables equal to it, links that lead somewhere."""

import re
from pathlib import Path

from scripts.chart_schema import SCHEMA, with_made_parts
from scripts.metrics_page import PAGE
from scripts.readme_tables import CHART_README, with_metrics, with_tables, with_values

REPOSITORY = Path(__file__).parent.parent
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def test_tables_equal_the_code() -> None:
    """Settings and exit codes in the README are those of the code; `make format` brings them up to date."""
    assert with_tables(README) == README


def test_chart_equals_the_code() -> None:
    """The chart's table of values and the settings its schema knows; `make format` brings them up to date."""
    readme, schema = (path.read_text(encoding="utf-8") for path in (CHART_README, SCHEMA))
    assert with_values(readme) == readme
    assert with_made_parts(schema) == schema


def test_metrics_page_equals_the_code() -> None:
    """The catalogue of metrics is that of the code; `make format` brings it up to date."""
    page = PAGE.read_text(encoding="utf-8")
    assert with_metrics(page) == page


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
