"""`python -m bm` is `bm`."""

from bm.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
