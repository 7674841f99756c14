"""What our processes load of the `kubernetes` package, told in processes of their own."""

import subprocess
import sys

SAYS = "import sys, {first}; {then}; print(*sys.modules, sep='\\n')"


def loaded(first: str, then: str = "pass") -> set[str]:
    """The modules of a process that imports one and then does something."""
    words = [sys.executable, "-c", SAYS.format(first=first, then=then)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=50, check=True)
    return set(done.stdout.split())


def test_a_process_of_ours_loads_no_typed_client() -> None:
    """It would be a fifth of an agent's memory."""
    modules = loaded("kube.client")
    assert "kubernetes.aio.config.kube_config" in modules
    assert not modules & {"pydantic", "kubernetes.client", "kubernetes.aio.client.api_client", "kubernetes.aio.dynamic"}


def test_the_rest_of_the_package_is_there_for_whoever_asks() -> None:
    """Nothing is taken away: the real typed client, also from the reader of kubeconfigs."""
    check = (
        "import kubernetes.aio.client as c, kubernetes.aio.config.kube_config as k, kubernetes.client; "
        "assert isinstance(k.ApiClient(c.Configuration()), c.ApiClient); "
        "assert kubernetes.client.CoreV1Api and c.CoreV1Api"
    )
    assert "kubernetes.aio.client.api_client" in loaded("kube.client", check)


def test_a_package_that_is_loaded_already_stays_as_it_is() -> None:
    """Whoever came first decides."""
    assert "kubernetes.aio.dynamic" in loaded("kubernetes.aio, kube.client")
