/* The processes that use a device: what nvmlDeviceGetComputeRunningProcesses reports.
 *
 * For a GPU handle all of them, each with the instance ids that it runs on; for a MIG device handle its own only. A
 * process is listed while it lives: its death needs no call to be seen. */
#include "internal.h"

static bool listed(const struct scope *at, struct sim_hold *hold) {
    if (at->ref.kind == HANDLE_MIG && hold->ci_serial != at->gpu->gis[at->ref.gi].cis[at->ref.ci].serial)
        return false;
    return hold_is_live(at->gpu, hold);
}

/* Fills at most `room` entries and returns how many there are. */
static unsigned collect(const struct scope *at, nvmlProcessInfo_v2_t *out, unsigned room) {
    unsigned count = 0;
    for (unsigned i = 0; i < SIM_HOLDS; i++) { /* a hold on the whole GPU has no instance: both its ids say so */
        struct sim_hold *hold = &at->gpu->holds[i];
        if (!listed(at, hold))
            continue;
        if (count < room)
            out[count] = (nvmlProcessInfo_v2_t){.pid = hold->pid,
                                                .used_memory = hold->memory_bytes,
                                                .gpu_instance_id = hold->gi_id,
                                                .compute_instance_id = hold->ci_id};
        count++;
    }
    return count;
}

/* NVML's protocol for lists: *count is the room on the way in and the number on the way out. */
static nvmlReturn_t report(enum sim_function function, nvmlDevice_t device, unsigned *count,
                           nvmlProcessInfo_v2_t *out) {
    struct scope at;
    nvmlReturn_t result = enter(function, handle_gpu(device));
    if (result != NVML_SUCCESS)
        return result;
    if (!count || (*count && !out))
        return NVML_ERROR_INVALID_ARGUMENT;
    result = open_ref(&at, device, DEVICE_KINDS, false);
    if (result != NVML_SUCCESS)
        return result;
    unsigned room = *count;
    *count = collect(&at, out, room);
    close_ref(&at, 0);
    return *count > room ? NVML_ERROR_INSUFFICIENT_SIZE : NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device, unsigned *count,
                                                            nvmlProcessInfo_v2_t *out) {
    return report(FUNCTION_nvmlDeviceGetComputeRunningProcesses_v3, device, count, out);
}

EXPORT nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v2(nvmlDevice_t device, unsigned *count,
                                                            nvmlProcessInfo_v2_t *out) {
    return report(FUNCTION_nvmlDeviceGetComputeRunningProcesses_v2, device, count, out);
}

EXPORT nvmlReturn_t nvmlDeviceGetComputeRunningProcesses(nvmlDevice_t device, unsigned *count,
                                                         nvmlProcessInfo_v1_t *out) {
    nvmlProcessInfo_v2_t full[SIM_HOLDS];
    unsigned number = SIM_HOLDS;
    if (count && *count && !out)
        return NVML_ERROR_INVALID_ARGUMENT;
    nvmlReturn_t result =
        report(FUNCTION_nvmlDeviceGetComputeRunningProcesses, device, count ? &number : NULL, full);
    if (result != NVML_SUCCESS)
        return result;
    unsigned room = *count;
    *count = number;
    for (unsigned i = 0; i < number && i < room; i++)
        out[i] = (nvmlProcessInfo_v1_t){.pid = full[i].pid, .used_memory = full[i].used_memory};
    return number > room ? NVML_ERROR_INSUFFICIENT_SIZE : NVML_SUCCESS;
}

/* Nobody draws and nobody shares by MPS here. */
static nvmlReturn_t none(enum sim_function function, nvmlDevice_t device, unsigned *count) {
    struct scope at;
    nvmlReturn_t result = enter(function, handle_gpu(device));
    if (result != NVML_SUCCESS)
        return result;
    if (!count)
        return NVML_ERROR_INVALID_ARGUMENT;
    result = open_ref(&at, device, DEVICE_KINDS, false);
    if (result != NVML_SUCCESS)
        return result;
    close_ref(&at, 0);
    *count = 0;
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v3(nvmlDevice_t device, unsigned *count,
                                                             nvmlProcessInfo_v2_t *out) {
    (void)out;
    return none(FUNCTION_nvmlDeviceGetGraphicsRunningProcesses_v3, device, count);
}

EXPORT nvmlReturn_t nvmlDeviceGetMPSComputeRunningProcesses_v3(nvmlDevice_t device, unsigned *count,
                                                               nvmlProcessInfo_v2_t *out) {
    (void)out;
    return none(FUNCTION_nvmlDeviceGetMPSComputeRunningProcesses_v3, device, count);
}
