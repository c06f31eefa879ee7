"""A bound on the memory of a decoder child, so that no object can take the worker down with it.

`RLIMIT_DATA` counts what is really claimed (heap and private writable mappings).  `RLIMIT_AS` would count address
space, of which TensorFlow reserves 1.7 GB by being loaded (measured); its heap takes 0.3 GB of that.
Beyond the bound numpy and TensorFlow raise, and other libraries abort: both end in a review verdict.
"""

import re
import resource
from pathlib import Path

_STATUS = Path("/proc/self/status")
_DATA = re.compile(r"VmData:\s+(\d+) kB")


def limit_memory(more_bytes: int) -> None:
    """Let this process claim so much memory above what it has now; does nothing where the kernel does not tell that.

    Args:
        more_bytes: how much.
    """
    found = _DATA.search(_STATUS.read_text()) if _STATUS.exists() else None
    if found is None:
        return
    limit = int(found[1]) * 1024 + more_bytes
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
