"""`python -m foray`."""

from foray.cli.main import main

main()
