"""Write docker/sbom-*.cdx.json from docker/runtime-*.lock: `python -m scripts.sbom`, a part of `make lock`.

CycloneDX; each package with name, version and purl. The hashes stay in the lock files.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parent.parent
DOCKER = REPOSITORY / "docker"
VARIANTS = ("cpu", "gpu")

_CYCLONEDX = REPOSITORY / ".cache" / "lock" / "bin" / "cyclonedx-py"


def packages(lock: str) -> list[str]:
    """Return a lock file's `name==version` lines."""
    return [line.split()[0] for line in lock.splitlines() if "==" in line and not line.startswith((" ", "#"))]


def without_noise(sbom: dict[str, Any]) -> dict[str, Any]:
    """Return the bill without line numbers of the input, addresses of an index and the tool's pages."""
    for component in sbom["components"]:
        for each in ("description", "externalReferences"):
            component.pop(each, None)
    for tool in sbom["metadata"].get("tools", {}).get("components", ()):
        tool.pop("externalReferences", None)
    return sbom


def _sbom(lock: Path) -> dict[str, Any]:
    done = subprocess.run(  # noqa: S603 -- our own tool and lock file
        [_CYCLONEDX, "requirements", "--pyproject", REPOSITORY / "pyproject.toml", "--output-reproducible", "-"],
        input="\n".join(packages(lock.read_text())),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"cyclonedx-py could not read {lock}:\n{done.stderr}")
    return without_noise(json.loads(done.stdout))


def main() -> None:
    """Write both files."""
    if not _CYCLONEDX.exists():
        sys.exit(f"{_CYCLONEDX} is not there: `make lock` installs it and calls this.")
    for variant in VARIANTS:
        sbom = _sbom(DOCKER / f"runtime-{variant}.lock")
        (DOCKER / f"sbom-{variant}.cdx.json").write_text(json.dumps(sbom, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
