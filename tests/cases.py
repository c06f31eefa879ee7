"""How many cases a property test tries: a seeded share in `make test`, many random ones in `make nightly`.

`LOSSGATE_TEST_CASES` multiplies the number.  At 1 (the default) hypothesis draws the same cases in every run;
above, it draws new ones, and prints a failing one so that it can be repeated.
"""

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings

FACTOR = int(os.environ.get("LOSSGATE_TEST_CASES", "1"))


settings.register_profile(
    "lossgate",
    max_examples=100 * FACTOR,
    derandomize=FACTOR == 1,
    database=None,
    print_blob=True,
    deadline=None,  # whatever hangs is ended by pytest's own limit; busy cores are no failure
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("lossgate")


def cases(count: int) -> Callable[[Any], Any]:
    """Settings for a property test of ``count`` cases in `make test`."""
    return settings(max_examples=count * FACTOR)
