"""`python -m cli` is `nos-mig`."""

import sys

from cli.main import main

sys.exit(main())
