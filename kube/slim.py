"""Imports the `kubernetes` package without its synchronous half.

Its `__init__` loads the synchronous client, watch, informer and dynamic client before anybody can ask for `kubernetes.aio`:
230 modules and 7 MB that none of our processes uses, a tenth of what an agent may take. So the parent package is put in
place unexecuted; `import kubernetes.client` and the like still work, for whoever wants them. A package that somebody has
imported already is left as it is.
"""

import importlib.util
import sys


def spare_the_synchronous_half() -> None:
    """Make `import kubernetes.aio` load that alone. Call it before the first import of the package."""
    spec = importlib.util.find_spec("kubernetes")
    if spec is not None and "kubernetes" not in sys.modules:
        sys.modules["kubernetes"] = importlib.util.module_from_spec(spec)
