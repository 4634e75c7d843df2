"""`foray`, and `python -m foray`."""

import sys


def main() -> None:
    """The command line. Its imports take a second, and Ctrl-C during them is no traceback either."""
    try:
        from foray.cli.main import main as run
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        raise SystemExit(130) from None
    run()


if __name__ == "__main__":
    main()
