/* States of a sick driver or GPU that last: what each of them refuses, until somebody mends it.
 *
 * Why apart from the fault table: a fault strikes calls, a state belongs to the hardware. It needs no list of calls,
 * and a reset, reboot or reload ends it as it would on a real machine.
 *
 *   driver unloaded   every call, and every session that began before the driver was loaded again, which is dead for
 *                     good: DRIVER_NOT_LOADED (seam.c). Such a process has to call nvmlShutdown and nvmlInit.
 *   mismatch          nvmlInit and the system calls: LIB_RM_VERSION_MISMATCH. Sessions go on with their devices.
 *   GPU lost          every call about that GPU, finding it included: GPU_IS_LOST.
 *   reset required    what touches the hardware (memory, processes, every change and every list of instances):
 *                     RESET_REQUIRED. What the driver knows by heart is still answered. Which calls those are is
 *                     assumed: nobody has published a whole list. */
#include <string.h>

#include "internal.h"

/* Who the GPU is, where it is, and which mode it was given. */
static bool known_by_heart(enum sim_function function) {
    switch (function) {
    case FUNCTION_nvmlDeviceGetHandleByIndex:
    case FUNCTION_nvmlDeviceGetHandleByIndex_v2:
    case FUNCTION_nvmlDeviceGetHandleByUUID:
    case FUNCTION_nvmlDeviceGetHandleByPciBusId:
    case FUNCTION_nvmlDeviceGetHandleByPciBusId_v2:
    case FUNCTION_nvmlDeviceGetHandleBySerial:
    case FUNCTION_nvmlDeviceGetIndex:
    case FUNCTION_nvmlDeviceGetMinorNumber:
    case FUNCTION_nvmlDeviceGetUUID:
    case FUNCTION_nvmlDeviceGetName:
    case FUNCTION_nvmlDeviceGetSerial:
    case FUNCTION_nvmlDeviceGetBrand:
    case FUNCTION_nvmlDeviceGetArchitecture:
    case FUNCTION_nvmlDeviceGetCudaComputeCapability:
    case FUNCTION_nvmlDeviceGetPciInfo_v3:
    case FUNCTION_nvmlDeviceGetPersistenceMode:
    case FUNCTION_nvmlDeviceGetMigMode:
    case FUNCTION_nvmlDeviceIsMigDeviceHandle:
        return true;
    default:
        return false;
    }
}

nvmlReturn_t gpu_trouble(enum sim_function function, const struct sim_gpu *gpu) {
    if (gpu->lost)
        return NVML_ERROR_GPU_IS_LOST;
    return gpu->reset_required && !known_by_heart(function) ? NVML_ERROR_RESET_REQUIRED : NVML_SUCCESS;
}

nvmlReturn_t trouble(const struct sim_state *state, enum sim_function function, unsigned gpu) {
    const char *name = simgpu_function_name(function);
    if (state->unloaded)
        return NVML_ERROR_DRIVER_NOT_LOADED;
    if (state->mismatch && (strncmp(name, "nvmlInit", 8) == 0 || strncmp(name, "nvmlSystem", 10) == 0))
        return NVML_ERROR_LIB_RM_VERSION_MISMATCH;
    return gpu < state->gpu_count ? gpu_trouble(function, &state->gpus[gpu]) : NVML_SUCCESS;
}
