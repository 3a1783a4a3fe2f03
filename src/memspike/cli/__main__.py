"""The program as `python -m memspike.cli`."""

from memspike.cli.app import main

main()
