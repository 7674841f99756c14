"""The driver by NVML, through pynvml.

Three numbers are called profile id and are never mixed here: the GI enum (only to iterate), the profile id (`info.id`, argument
of create, list and placements), and the CI enum (by compute slices). An instance is always created at an explicit
placement, and the placement is read back. Ids are used again by the driver, so each destroy first checks that the id
still means the instance that was meant. This module keeps handles of GPUs and nothing else.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from ctypes import byref, c_uint
from typing import Any, Final

from mig.occupancy import Placed
from mig.placements import ProfileOffer, Window
from nodeagent.gpus.driver import (
    DriverError,
    DriverUnavailable,
    GpuUnavailable,
    InUse,
    LeftBehind,
    NoSuchInstance,
    Refused,
)
from nodeagent.gpus.nvml_calls import Nvml, code_of, error_text, pynvml
from nodeagent.gpus.nvml_discovery import mig_mode, shape
from nodeagent.values import NO_SHAPE, DriverFacts, Gpu, Instance, Processes

_FULL_CI: Final = {1: 0, 2: 1, 3: 2, 4: 3, 6: 6, 7: 4, 8: 5}
"""Compute slices → the enum of the CI that fills the GI. Enums 7 (1 slice, revision 1) and 8 are variants that fail on some."""

_PROCESS_LISTS: Final = (
    "nvmlDeviceGetComputeRunningProcesses",
    "nvmlDeviceGetGraphicsRunningProcesses",
    "nvmlDeviceGetMPSComputeRunningProcesses",
)

_NO_SUCH_LIST: Final = (pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)


class NvmlDriver:
    """`Driver` by the NVML library that the dynamic loader finds. One a process."""

    def __init__(self, nvml: Nvml, *, find: Callable[[], None] = lambda: None) -> None:
        """`find` is called before each start: it makes the library known to the loader where that does not find it itself."""
        self._nvml = nvml
        self._find = find
        self._handles: dict[int, Any] = {}
        self._started = False

    def start(self) -> DriverFacts:
        """Initialise NVML, again only if an earlier session was given up."""
        if self._started:
            self._started = False
            self._handles.clear()
            with suppress(DriverError):
                self._nvml.call("nvmlShutdown")
        try:
            self._find()
        except OSError as error:
            raise DriverUnavailable(f"the driver's library cannot be loaded: {error}") from error
        self._nvml.call("nvmlInit")
        self._started = True
        version: str = self._nvml.call("nvmlSystemGetDriverVersion")
        return DriverFacts(version=version, gpu_count=self._nvml.call("nvmlDeviceGetCount"))

    def gpu(self, index: int) -> Gpu:
        """Identify the GPU and, where MIG is on, ask it for every profile and placement."""
        handle = self._handle(index)
        try:
            uuid: str = self._nvml.call("nvmlDeviceGetUUID", handle)
        except GpuUnavailable:
            self._handles.pop(index, None)  # it means the GPU that was here: another in its place is found next time
            raise
        model: str = self._nvml.call("nvmlDeviceGetName", handle)
        mode, cut = mig_mode(self._nvml, handle)
        return Gpu(
            uuid=uuid,
            index=index,
            model=model,
            mig_mode=mode,
            shape=shape(self._nvml, handle) if cut else NO_SHAPE,
            minor=self._nvml.supported("nvmlDeviceGetMinorNumber", handle),
        )

    def instances(self, gpu: Gpu) -> tuple[Instance, ...]:
        """List the GIs of every profile; where MIG is off there is no profile. What goes meanwhile is not there any more."""
        device = self._handle(gpu.index)
        found: list[Instance] = []
        for offer in gpu.shape.offers:
            for handle in self._listed(device, offer):
                try:
                    info = self._nvml.call("nvmlGpuInstanceGetInfo", handle)
                except NoSuchInstance:
                    continue
                found.append(self._instance(gpu, offer, handle, info))
        return tuple(sorted(found, key=lambda item: item.placed))

    def create(self, gpu: Gpu, placed: Placed) -> Instance:
        """Make GI, then CI."""
        offer = _offer(gpu, placed)
        placement = pynvml.c_nvmlGpuInstancePlacement_t(placed.window.start, placed.window.size)
        gi = self._nvml.call(
            "nvmlDeviceCreateGpuInstanceWithPlacement", self._handle(gpu.index), offer.profile_id, byref(placement)
        )
        try:
            info = self._nvml.call("nvmlGpuInstanceGetInfo", gi)
            got = _window(info)
            if got != placed.window:
                raise Refused(f"asked for {placed.profile} at {placed.window}, and the driver made it at {got}")
            ci, uuid = self._fill(gi, placed)
        except DriverError as error:
            self._undo(gi, error)
            raise
        return Instance(gpu=gpu.uuid, gi=info.id, placed=placed, uuid=uuid, ci=ci)

    def complete(self, gpu: Gpu, instance: Instance) -> Instance:
        """Fill a GI that has no CI."""
        gi = self._same_gi(gpu, instance)
        ci, uuid = self._fill(gi, instance.placed)
        return Instance(gpu=gpu.uuid, gi=instance.gi, placed=instance.placed, uuid=uuid, ci=ci)

    def destroy(self, gpu: Gpu, instance: Instance) -> None:
        """Destroy the CI, then the GI, unless somebody cut the GI anew since it was read."""
        try:
            gi = self._same_gi(gpu, instance)
        except NoSuchInstance:
            return
        for ci in self._same_cis(gi, instance):
            self._destroy("nvmlComputeInstanceDestroy", ci)
        self._destroy("nvmlGpuInstanceDestroy", gi)

    def enable_mig(self, gpu: Gpu) -> str:
        """Ask the architecture and the process lists first: the driver itself would leave a wish behind that waits for a reset."""
        handle = self._handle(gpu.index)
        architecture = self._nvml.supported("nvmlDeviceGetArchitecture", handle)
        if architecture is None or architecture < pynvml.NVML_DEVICE_ARCH_HOPPER:
            raise Refused(
                "on this architecture a change of MIG mode takes a GPU reset: "
                f"nvidia-smi -i {gpu.index} -mig 1, then nvidia-smi --gpu-reset -i {gpu.index} while no process has it open, "
                "this agent included (hand the node back meanwhile), or reboot the node"
            )
        pids = sorted({process.pid for function in _PROCESS_LISTS for process in self._whole_list(function, handle)})
        if pids:
            raise InUse(
                f"processes {', '.join(map(str, pids[:8]))} use this GPU; it is tried again once they have ended"
            )
        activation = self._nvml.call("nvmlDeviceSetMigMode", handle, pynvml.NVML_DEVICE_MIG_ENABLE)
        self._handles.pop(gpu.index, None)  # the driver may have unbound the device meanwhile
        return "" if activation == pynvml.NVML_SUCCESS else error_text(activation)

    def processes(self, gpu: Gpu) -> Processes:
        """One call a kind for the whole GPU; each entry names its GI."""
        found: dict[int, set[int]] = {}
        for function in _PROCESS_LISTS:
            for process in self._process_list(function, self._handle(gpu.index)):
                found.setdefault(process.gpuInstanceId, set()).add(process.pid)
        return {gi: tuple(sorted(pids)) for gi, pids in found.items()}

    def _undo(self, gi: Any, why: DriverError) -> None:
        try:
            self._nvml.call("nvmlGpuInstanceDestroy", gi)
        except NoSuchInstance:
            return
        except DriverError as error:
            raise LeftBehind(f"{why}; and the GPU instance could not be taken back: {error}") from why

    def _process_list(self, function: str, handle: Any) -> list[Any]:
        try:
            return list(self._nvml.call(function, handle))
        except DriverError as error:
            if code_of(error) in _NO_SUCH_LIST:
                return []  # the driver keeps no such list; destroying still says IN_USE
            raise

    def _whole_list(self, function: str, handle: Any) -> list[Any]:
        """As `_process_list`, where silence must mean that nobody is there: only the list for MPS may be missing."""
        try:
            return list(self._nvml.call(function, handle))
        except Refused as error:
            if "MPS" in function and code_of(error) in _NO_SUCH_LIST:
                return []
            raise Refused(f"who uses this GPU is not known: {error}") from error

    def _handle(self, index: int) -> Any:
        if index not in self._handles:
            self._handles[index] = self._nvml.call("nvmlDeviceGetHandleByIndex", index)
        return self._handles[index]

    def _listed(self, device: Any, offer: ProfileOffer) -> list[Any]:
        array = (pynvml.c_nvmlGpuInstance_t * max(offer.max_instances, 1))()
        count = c_uint(len(array))
        self._nvml.call("nvmlDeviceGetGpuInstances", device, offer.profile_id, array, byref(count))
        return list(array[: count.value])

    def _instance(self, gpu: Gpu, offer: ProfileOffer, gi: Any, info: Any) -> Instance:
        """What is in one GI. `NoSuchInstance` where that changes under our eyes: whether the GI is there is unknown then."""
        placed = Placed(_window(info), offer.profile)
        cis = list(self._compute_instances(gi))
        full = [ci for enum, ci in cis if enum == _FULL_CI.get(offer.profile.slices)]
        whole = len(cis) == len(full) <= 1
        if not (whole and full):
            return Instance(gpu=gpu.uuid, gi=info.id, placed=placed, whole=whole)
        ci, uuid = self._identity(full[0])
        return Instance(gpu=gpu.uuid, gi=info.id, placed=placed, uuid=uuid, ci=ci)

    def _compute_instances(self, gi: Any) -> Iterator[tuple[int, Any]]:
        """Every CI of a GI with its enum: the list call wants a profile id, and answers for one profile alone."""
        for ci_enum in range(pynvml.NVML_COMPUTE_INSTANCE_PROFILE_COUNT):
            info = self._nvml.supported("nvmlGpuInstanceGetComputeInstanceProfileInfo", gi, ci_enum, 0)
            if info is None:
                continue
            array = (pynvml.c_nvmlComputeInstance_t * max(info.instanceCount, 1))()
            count = c_uint(len(array))
            self._nvml.call("nvmlGpuInstanceGetComputeInstances", gi, info.id, array, byref(count))
            for ci in array[: count.value]:
                yield ci_enum, ci

    def _fill(self, gi: Any, placed: Placed) -> tuple[int, str]:
        enum = _FULL_CI.get(placed.profile.slices)
        if enum is None:
            raise Refused(f"no compute instance is known that fills {placed.profile}")
        info = self._nvml.call("nvmlGpuInstanceGetComputeInstanceProfileInfo", gi, enum, 0)
        return self._identity(self._nvml.call("nvmlGpuInstanceCreateComputeInstance", gi, info.id))

    def _identity(self, ci: Any) -> tuple[int, str]:
        """A CI's id within its GI, and the UUID of the MIG device that it is."""
        info = self._nvml.call("nvmlComputeInstanceGetInfo", ci)
        return info.id, str(self._nvml.call("nvmlDeviceGetUUID", info.device))

    def _same_gi(self, gpu: Gpu, instance: Instance) -> Any:
        """The handle of an instance, after making sure that its id was not given to another one meanwhile."""
        gi = self._nvml.call("nvmlDeviceGetGpuInstanceById", self._handle(gpu.index), instance.gi)
        info = self._nvml.call("nvmlGpuInstanceGetInfo", gi)
        offer = _offer(gpu, instance.placed)
        if _window(info) != instance.placed.window or info.profileId != offer.profile_id:
            raise NoSuchInstance(f"GPU instance {instance.gi} is another one now, no longer {instance.placed.profile}")
        return gi

    def _same_cis(self, gi: Any, instance: Instance) -> list[Any]:
        """The handle of the instance's CI, or none where it is gone; any other one is somebody's, and so is the GI then."""
        cis = list(self._compute_instances(gi))
        full = _FULL_CI.get(
            instance.placed.profile.slices
        )  # told apart from a small one, which may have its id and UUID
        held = [(enum == full, self._identity(ci)) for enum, ci in cis]
        if any(each != (True, (instance.ci, instance.uuid)) for each in held):
            names = ", ".join(uuid for _, (_, uuid) in held)
            raise Refused(f"GPU instance {instance.gi} holds {names} now, which is not ours: it is left alone")
        return [ci for _, ci in cis]

    def _destroy(self, function: str, handle: Any) -> None:
        try:
            self._nvml.call(function, handle)
        except NoSuchInstance:
            return


def _offer(gpu: Gpu, placed: Placed) -> ProfileOffer:
    offer = gpu.shape.by_profile.get(placed.profile)
    if offer is None:
        raise Refused(f"GPU {gpu.uuid} offers no profile {placed.profile}")
    return offer


def _window(info: Any) -> Window:
    return Window(info.placement.start, info.placement.size)
