"""Each way to install NVIDIA's plugin gives its Pods other labels: all that any selector matches are meant, and no other."""

import argparse
from collections.abc import AsyncIterator, Sequence

import pytest

from kube.errors import ConfigError
from nodeagent.options import Options, add_arguments
from tests.support.nvidia_plugin_scene import NAME, NAMESPACE, PODS, NvidiaScene, nvidia_scene

OF_THE_CHART = "app.kubernetes.io/name"


@pytest.fixture
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NvidiaScene]:
    """A plugin that runs by the first label, and has enumerated an empty GPU."""
    async with nvidia_scene(tmp_path_factory.mktemp("n")) as made:
        yield made


def deleted(scene: NvidiaScene) -> set[str]:
    return {path.partition("?")[0].rpartition("/")[2] for method, path in scene.server.requests if method == "DELETE"}


async def test_a_pod_is_the_plugins_that_any_selector_matches(scene: NvidiaScene) -> None:
    """Once the first is gone, the one by another label is the one that is started anew."""
    scene.server.store.delete(PODS, NAMESPACE, NAME)
    await scene.plugin_runs(label=OF_THE_CHART, name="of-the-chart")
    scene.make("1g.10gb@0+1")
    await scene.kubelet.until(lambda: scene.starts == 1, what="started anew")
    assert deleted(scene) == {"of-the-chart"}


async def test_what_the_chart_installs_beside_the_plugin_is_left_alone(scene: NvidiaScene) -> None:
    """It bears the same labels, and has told the kubelet nothing."""
    await scene.plugin_runs(label=OF_THE_CHART, name="discovery", container="gpu-feature-discovery-ctr")
    await scene.plugin_runs(label=OF_THE_CHART, name="mps", container="mps-control-daemon-ctr")
    await scene.plugin_runs(label=OF_THE_CHART, name="of-the-chart")
    scene.make("1g.10gb@0+1")
    await scene.kubelet.until(lambda: scene.starts == 2, what="started anew")
    assert deleted(scene) == {NAME, "of-the-chart"}


async def test_a_pod_that_only_another_selector_still_matches_stays_known(scene: NvidiaScene) -> None:
    """Or a change of its labels would look like its end."""
    for labels in ({"app": NAME, OF_THE_CHART: NAME}, {OF_THE_CHART: NAME}):
        pod = scene.server.store.get(PODS, NAMESPACE, NAME)
        scene.server.store.update(PODS, NAMESPACE, NAME, {**pod, "metadata": {**pod["metadata"], "labels": labels}})
        await scene.server.notify()
    scene.make("1g.10gb@0+1")
    await scene.kubelet.until(lambda: scene.starts == 1, what="started anew")
    assert deleted(scene) == {NAME}


async def test_the_labels_that_are_looked_for_are_told(scene: NvidiaScene) -> None:
    """All of them, where no Pod bears any."""
    scene.server.store.delete(PODS, NAMESPACE, NAME)
    await scene.server.notify()
    await scene.skip_until(lambda: bool(scene.ours.status.troubles), what="told")
    assert f"by the labels 'app={NAME}' or '{OF_THE_CHART}={NAME}'" in scene.ours.status.troubles[0]


@pytest.mark.parametrize("selectors", [[], [""], ["app=x", " "]], ids=str)
def test_a_selector_that_matches_any_pod_is_refused(selectors: Sequence[str]) -> None:
    """The agent may delete the Pods that it finds; our own plugin needs none."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    told = ["--node-name", "n", *(f"--nvidia-plugin-selector={each}" for each in selectors)]
    assert Options.of(parser.parse_args(told)).nvidia_plugin_selectors == tuple(selectors)
    with pytest.raises(ConfigError, match="--nvidia-plugin-selector"):
        Options.of(parser.parse_args([*told, "--device-plugin", "nvidia"]))
