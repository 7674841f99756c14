"""`python -m bench.placement`."""

import sys

from bench.placement.main import main

if __name__ == "__main__":
    sys.exit(main())
