"""Imports of the `kubernetes` package no more than we use: its configuration and its HTTP client.

Its `__init__` loads the synchronous client, watch, informer and dynamic client before anybody can ask for `kubernetes.aio`, whose
own does the same once more; and reading a kubeconfig loads the typed client with pydantic behind it. Together that is
400 modules and 17 MB that none of our processes uses, a fifth of what an agent may take. So both packages are put in place
unexecuted, and kubeconfig's reader gets a stand-in for the typed client; `import kubernetes.client` and the like still work,
for whoever wants them. A package that somebody has imported already is left as it is.
"""

import importlib
import importlib.util
import sys
from typing import Any


def spare_what_nobody_uses() -> None:
    """Make the modules that we use load no others. Call it before the first import of the package."""
    if "kubernetes" in sys.modules or importlib.util.find_spec("kubernetes") is None:
        return
    for name in ("kubernetes", "kubernetes.aio"):
        spec = importlib.util.find_spec(name)
        assert spec is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
    client: Any = importlib.import_module("kubernetes.aio.client")
    client.ApiClient = _typed_client
    try:
        importlib.import_module("kubernetes.aio.config.kube_config")
    finally:
        del client.ApiClient  # whoever asks for it gets the real one


def _typed_client(*args: Any, **kwargs: Any) -> Any:
    """Make a typed client after all; what `kube_config` calls where it is asked for one."""
    return importlib.import_module("kubernetes.aio.client.api_client").ApiClient(*args, **kwargs)
