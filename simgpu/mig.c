/* MIG mode, and MIG devices: the handles under which CUDA sees compute instances. */
#include "internal.h"

EXPORT nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned *current, unsigned *pending) {
    struct scope at;
    nvmlReturn_t result = enter(FUNCTION_nvmlDeviceGetMigMode, handle_gpu(device));
    if (result != NVML_SUCCESS)
        return result;
    if (!current || !pending)
        return NVML_ERROR_INVALID_ARGUMENT;
    result = open_ref(&at, device, 1u << HANDLE_GPU, false);
    if (result != NVML_SUCCESS)
        return result;
    if (!at.gpu->mig_capable) {
        close_ref(&at, 0);
        return NVML_ERROR_NOT_SUPPORTED;
    }
    *current = at.gpu->mig_current;
    *pending = at.gpu->mig_pending;
    close_ref(&at, 0);
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceSetMigMode(nvmlDevice_t device, unsigned mode, nvmlReturn_t *activation) {
    struct scope at;
    nvmlReturn_t result = enter(FUNCTION_nvmlDeviceSetMigMode, handle_gpu(device));
    if (result != NVML_SUCCESS)
        return result;
    if (!activation)
        return NVML_ERROR_INVALID_ARGUMENT;
    result = open_ref(&at, device, 1u << HANDLE_GPU, true);
    if (result != NVML_SUCCESS)
        return result;
    result = mig_mode_set(at.gpu, mode, activation);
    close_ref(&at, 0);
    return finish(FUNCTION_nvmlDeviceSetMigMode, at.ref.gpu, result);
}

EXPORT nvmlReturn_t nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t device, unsigned *count) {
    struct scope at;
    nvmlReturn_t result = enter(FUNCTION_nvmlDeviceGetMaxMigDeviceCount, handle_gpu(device));
    if (result != NVML_SUCCESS)
        return result;
    if (!count)
        return NVML_ERROR_INVALID_ARGUMENT;
    result = open_ref(&at, device, 1u << HANDLE_GPU, false);
    if (result != NVML_SUCCESS)
        return result;
    *count = at.gpu->mig_current ? at.gpu->compute_slices : 0; /* zero, not an error, where MIG is off or unknown */
    close_ref(&at, 0);
    return NVML_SUCCESS;
}

/* The index-th compute instance of the GPU, by GI id and then CI id. */
static nvmlReturn_t nth(const struct scope *at, unsigned index, struct ref *found) {
    if (!at->gpu->mig_current)
        return NVML_ERROR_NOT_SUPPORTED;
    if (index >= at->gpu->compute_slices)
        return NVML_ERROR_INVALID_ARGUMENT;
    for (unsigned gi = 0; gi < SIM_GI_IDS; gi++)
        for (unsigned ci = 0; at->gpu->gis[gi].used && ci < SIM_CI_IDS; ci++)
            if (at->gpu->gis[gi].cis[ci].used && index-- == 0) {
                *found = ref_ci(HANDLE_MIG, at->ref.gpu, gi, ci);
                return NVML_SUCCESS;
            }
    return NVML_ERROR_NOT_FOUND;
}

EXPORT nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t device, unsigned index, nvmlDevice_t *mig) {
    struct scope at;
    struct ref found;
    nvmlReturn_t result = enter(FUNCTION_nvmlDeviceGetMigDeviceHandleByIndex, handle_gpu(device));
    if (result != NVML_SUCCESS)
        return result;
    if (!mig)
        return NVML_ERROR_INVALID_ARGUMENT;
    result = open_ref(&at, device, 1u << HANDLE_GPU, false);
    if (result != NVML_SUCCESS)
        return result;
    result = nth(&at, index, &found);
    close_ref(&at, 0);
    if (result == NVML_SUCCESS)
        *mig = handle_of(found);
    return result;
}

/* Says what kind of handle it is, without asking whether its device still exists. */
EXPORT nvmlReturn_t nvmlDeviceIsMigDeviceHandle(nvmlDevice_t device, unsigned *is_mig) {
    struct ref ref;
    nvmlReturn_t result = enter(FUNCTION_nvmlDeviceIsMigDeviceHandle, handle_gpu(device));
    if (result != NVML_SUCCESS)
        return result;
    if (!is_mig || !handle_read(device, &ref) || !(DEVICE_KINDS >> ref.kind & 1u))
        return NVML_ERROR_INVALID_ARGUMENT;
    *is_mig = ref.kind == HANDLE_MIG;
    return NVML_SUCCESS;
}

static nvmlReturn_t mig_only(enum sim_function function, nvmlDevice_t device, const void *out, struct ref *ref) {
    struct scope at;
    nvmlReturn_t result = enter(function, handle_gpu(device));
    if (result != NVML_SUCCESS)
        return result;
    if (!out || !handle_read(device, ref))
        return NVML_ERROR_INVALID_ARGUMENT;
    if (ref->kind == HANDLE_GPU)
        return NVML_ERROR_NOT_SUPPORTED;
    result = open_ref(&at, device, 1u << HANDLE_MIG, false);
    if (result == NVML_SUCCESS)
        close_ref(&at, 0);
    return result;
}

EXPORT nvmlReturn_t nvmlDeviceGetGpuInstanceId(nvmlDevice_t device, unsigned *id) {
    struct ref ref;
    nvmlReturn_t result = mig_only(FUNCTION_nvmlDeviceGetGpuInstanceId, device, id, &ref);
    if (result == NVML_SUCCESS)
        *id = ref.gi;
    return result;
}

EXPORT nvmlReturn_t nvmlDeviceGetComputeInstanceId(nvmlDevice_t device, unsigned *id) {
    struct ref ref;
    nvmlReturn_t result = mig_only(FUNCTION_nvmlDeviceGetComputeInstanceId, device, id, &ref);
    if (result == NVML_SUCCESS)
        *id = ref.ci;
    return result;
}

EXPORT nvmlReturn_t nvmlDeviceGetDeviceHandleFromMigDeviceHandle(nvmlDevice_t mig, nvmlDevice_t *device) {
    struct ref ref;
    nvmlReturn_t result = mig_only(FUNCTION_nvmlDeviceGetDeviceHandleFromMigDeviceHandle, mig, device, &ref);
    if (result == NVML_SUCCESS)
        *device = handle_of(ref_device(ref.gpu));
    return result;
}
