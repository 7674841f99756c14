"""A driver that is missing, hangs or loses a GPU: the agent stays up, says so, harms nothing, and recovers by itself."""

import time

from tests.support.agenthost import AgentHost, slices, states

GPU_IS_LOST, LIB_RM_VERSION_MISMATCH = 15, 18
CREATE = "nvmlDeviceCreateGpuInstanceWithPlacement"


async def test_a_missing_driver_is_told_and_found_later(host: AgentHost) -> None:
    """N4: `Healthy=False` with what to do, nothing vanishes from the report, and it recovers in the same process."""
    host.start()
    await host.want({0: ["1g.10gb@0+1"]})
    await host.until_free(0, "1g.10gb@0+1")
    host.kill()
    host.sim.inject(function="nvmlInitWithFlags", code=LIB_RM_VERSION_MISMATCH)
    host.start()

    status = await host.until(lambda status: "reboot the node" in str(status), "the driver's mismatch")
    assert "1g.10gb@0" in states(status)
    healthy = status.condition("Healthy")
    assert healthy is not None
    assert (healthy.status, healthy.reason) == ("False", "DriverUnavailable")
    assert (await host.get("/healthz"))[0] == 200
    code, text = await host.get("/readyz")
    assert code == 503
    assert "version mismatch" in text
    host.sim.clear_faults()
    await host.until_free(0, "1g.10gb@0+1")


async def test_no_library_at_all_is_no_crash(host: AgentHost) -> None:
    """N4: an agent on a node whose driver is not installed yet."""
    host.start(driver=False)
    code, _ = await host.get("/healthz")
    assert code == 200
    await host.until_unready("install the NVIDIA driver")
    assert host.process is not None
    assert host.process.poll() is None


async def test_a_call_that_hangs_stops_neither_probes_nor_the_other_gpu(host: AgentHost) -> None:
    """N7: the metric shows it, no second call is made on that GPU, and when it returns all goes on."""
    host.start()
    await host.want({0: [], 1: []})
    await host.until_free(1)
    host.sim.reset_calls()
    host.sim.inject(function=CREATE, gpu=0, block_ms=120_000)
    await host.want({0: ["1g.10gb@0+1"], 1: ["3g.40gb@4+4"]})
    await host.until(lambda status: states(status).get("3g.40gb@4") == "Free", "the other GPU is served")
    began = time.monotonic()
    assert (await host.get("/healthz"))[0] == 200
    assert time.monotonic() - began < 30  # not the 120 s of the call
    assert await _running_s(host) > 0
    assert host.sim.calls()[CREATE] == 2
    host.sim.clear_faults()
    await host.until_free(0, "1g.10gb@0+1")


async def test_a_call_past_its_deadline_is_told_and_followed_by_no_other(host: AgentHost) -> None:
    """N7: `DriverSilent`; whatever the spec says since, nothing is asked of that GPU, and all goes on when the call returns."""
    host.start("--change-deadline-s", "3", "--resync-s", "600")
    await host.want({0: ["1g.10gb@0+1"], 1: []})
    await host.until_free(0, "1g.10gb@0+1")
    host.sim.inject(function=CREATE, gpu=0, block_ms=120_000)
    await host.want({0: ["1g.10gb@0+1", "3g.40gb@4+4"], 1: []})
    status = await host.until(lambda status: "did not answer within 3 s" in str(status), "the deadline has passed")
    healthy = status.condition("Healthy")
    assert healthy is not None
    assert (healthy.status, healthy.reason) == ("False", "DriverSilent")
    before = await _running_s(host)
    assert before >= 3
    host.sim.reset_calls()
    await host.want({0: ["2g.20gb@2+2"], 1: []})
    await host.want({0: ["2g.20gb@2+2"], 1: ["1g.10gb@0+1"]})
    await host.until_free(1, "1g.10gb@0+1")
    assert host.changes() == {CREATE: 1, "nvmlGpuInstanceCreateComputeInstance": 1}
    assert host.sim.calls().get("nvmlDeviceGetMigMode", 0) <= 1  # GPU 1's, if it was read again at all
    assert (await host.get("/healthz"))[0] == 200
    assert await _running_s(host) > before
    assert host.hardware(0) == {("1g.10gb", 0, True)}
    host.sim.clear_faults()
    await host.until_free(0, "2g.20gb@2+2")


async def _running_s(host: AgentHost) -> float:
    """For how long, says the metric, the call to GPU 0 has been running."""
    _, metrics = await host.get("/metrics")
    name = 'nos_mig_agent_nvml_running_seconds{gpu="0"}'
    (line,) = [line for line in metrics.splitlines() if line.startswith(name)]
    return float(line.split()[-1])


async def test_a_lost_gpu_is_excluded_and_comes_back(host: AgentHost) -> None:
    """N5: its slices are Failed, with the reason; the other GPU's are not; nothing is destroyed."""
    host.start()
    await host.want({0: ["1g.10gb@0+1"], 1: ["1g.10gb@0+1"]})
    await host.until_free(0, "1g.10gb@0+1")
    await host.until_free(1, "1g.10gb@0+1")
    host.sim.inject(gpu=0, code=GPU_IS_LOST)
    await host.want({0: ["1g.10gb@0+1", "1g.10gb@1+1"], 1: ["1g.10gb@0+1", "1g.10gb@1+1"]})
    first, second = (gpu.uuid for gpu in host.sim.gpus)
    status = await host.until(
        lambda status: (
            {item.state.value for item in slices(status, second)} == {"Free"}
            and {item.state.value for item in slices(status, first)} == {"Failed"}
        ),
        "one lost, one served",
    )
    healthy = status.condition("Healthy")
    assert healthy is not None
    assert healthy.reason == "GpuUnavailable"
    host.sim.clear_faults()
    await host.until_free(0, "1g.10gb@0+1", "1g.10gb@1+1")


async def test_a_reboot_in_mid_change_starts_from_empty_hardware(host: AgentHost) -> None:
    """N8: the boot id differs, so entries of before mean nothing; a slice that was written down and never made is made anew."""
    host.start()
    await host.want({0: ["1g.10gb@0+1"]})
    await host.until_free(0, "1g.10gb@0+1")
    host.sim.reset_calls()
    host.sim.inject(function=CREATE, gpu=0, block_ms=120_000)
    await host.want({0: ["1g.10gb@0+1", "3g.40gb@4+4"]})
    await host.until_called(CREATE)
    before = await host.migspec()
    assert before.status is not None
    assert states(before.status).get("3g.40gb@4") != "Free"
    host.kill()
    host.sim.clear_faults()
    host.sim.reboot()
    host.sim.create_foreign(0, "1g.10gb", 0)
    host.start()
    boot = host.sim.boot_id.strip()
    status = await host.until(
        lambda status: status.boot_id == boot and states(status).get("3g.40gb@4") == "Free", "made anew"
    )
    assert host.hardware(0) == {("1g.10gb", 0, True), ("3g.40gb", 4, True)}
    assert {item.state.value for gpu in status.gpus for item in gpu.slices if not item.owned} == {"Foreign"}


async def test_a_second_agent_waits_and_takes_over(host: AgentHost) -> None:
    """N9: it answers probes meanwhile and touches nothing: the driver is not opened, and a change is made once, by the first."""
    host.start()
    await host.want({0: ["1g.10gb@0+1"]})
    await host.until_free(0, "1g.10gb@0+1")
    first = host.process
    assert first is not None
    host.sim.reset_calls()
    host.start()
    await host.until_unready("another agent runs on this node")
    await host.want({0: ["1g.10gb@0+1", "2g.20gb@2+2"]})
    await host.until_free(0, "1g.10gb@0+1", "2g.20gb@2+2")
    assert (await host.get("/healthz"))[0] == 200
    assert set(host.changes().values()) == {1}, host.changes()
    assert not [name for name in host.sim.calls() if "Init" in name]
    first.kill()
    first.wait()
    await host.want({0: ["1g.10gb@0+1", "1g.10gb@1+1"]})
    await host.until_free(0, "1g.10gb@0+1", "1g.10gb@1+1")
