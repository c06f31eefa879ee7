"""`python -m worker.cli`: the same as `lossgate`."""

from worker.cli import main

main()
