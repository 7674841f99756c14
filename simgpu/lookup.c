/* Finding a device: a GPU by index, UUID, PCI address or serial number, a MIG device by UUID.
 *
 * A MIG device exists only where a compute instance does; its UUID follows from the GPU's UUID and the two instance ids
 * (a table that Python wrote), so the same place has the same UUID each time, as with the real driver. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "internal.h"

void mig_uuid_text(const struct sim_gpu *gpu, unsigned gi, unsigned ci, char out[48]) {
    const uint8_t *b = gpu->mig_uuids[gi][ci];
    snprintf(out, 48, "MIG-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
             b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

static nvmlReturn_t device_count(enum sim_function function, unsigned *count) {
    nvmlReturn_t result = enter(function, SIM_ANY);
    if (result != NVML_SUCCESS)
        return result;
    if (!count)
        return NVML_ERROR_INVALID_ARGUMENT;
    *count = the_node.state->gpu_count;
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetCount(unsigned *count) {
    return device_count(FUNCTION_nvmlDeviceGetCount, count);
}

EXPORT nvmlReturn_t nvmlDeviceGetCount_v2(unsigned *count) {
    return device_count(FUNCTION_nvmlDeviceGetCount_v2, count);
}

static nvmlReturn_t by_index(enum sim_function function, unsigned index, nvmlDevice_t *device) {
    nvmlReturn_t result = enter(function, index);
    if (result != NVML_SUCCESS)
        return result;
    if (!device || index >= the_node.state->gpu_count)
        return NVML_ERROR_INVALID_ARGUMENT;
    *device = handle_of(ref_device(index));
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByIndex(unsigned index, nvmlDevice_t *device) {
    return by_index(FUNCTION_nvmlDeviceGetHandleByIndex, index, device);
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t *device) {
    return by_index(FUNCTION_nvmlDeviceGetHandleByIndex_v2, index, device);
}

/* The handle of a device that was found, unless its GPU is lost. */
static nvmlReturn_t hand_out(enum sim_function function, struct ref ref, nvmlDevice_t *device) {
    nvmlReturn_t result = gpu_trouble(function, &the_node.state->gpus[ref.gpu]);
    if (result == NVML_SUCCESS)
        *device = handle_of(ref);
    return result;
}

static bool find_mig_device(unsigned index, const char *uuid, struct ref *found) {
    const struct sim_gpu *gpu = &the_node.state->gpus[index];
    char text[48];
    for (unsigned gi = 0; gi < SIM_GI_IDS; gi++)
        for (unsigned ci = 0; ci < SIM_CI_IDS; ci++) {
            if (!gpu->gis[gi].used || !gpu->gis[gi].cis[ci].used)
                continue;
            mig_uuid_text(gpu, gi, ci, text);
            if (strcasecmp(text, uuid) == 0) {
                *found = ref_ci(HANDLE_MIG, index, gi, ci);
                return true;
            }
        }
    return false;
}

static nvmlReturn_t find_uuid(const char *uuid, struct ref *found) {
    for (unsigned i = 0; i < the_node.state->gpu_count; i++) {
        struct gpu_lock lock;
        if (!gpu_lock(&the_node, i, LOCK_SHORT, &lock))
            return NVML_ERROR_OPERATING_SYSTEM;
        bool here = strcasecmp(the_node.state->gpus[i].uuid, uuid) == 0;
        if (here)
            *found = ref_device(i);
        else
            here = find_mig_device(i, uuid, found);
        gpu_unlock(&lock);
        if (here)
            return NVML_SUCCESS;
    }
    return NVML_ERROR_NOT_FOUND;
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device) {
    nvmlReturn_t result = enter(FUNCTION_nvmlDeviceGetHandleByUUID, SIM_ANY);
    if (result != NVML_SUCCESS)
        return result;
    if (!uuid || !device)
        return NVML_ERROR_INVALID_ARGUMENT;
    struct ref ref;
    result = find_uuid(uuid, &ref);
    return result ? result : hand_out(FUNCTION_nvmlDeviceGetHandleByUUID, ref, device);
}

static nvmlReturn_t by_pci(enum sim_function function, const char *text, nvmlDevice_t *device) {
    nvmlReturn_t result = enter(function, SIM_ANY);
    if (result != NVML_SUCCESS)
        return result;
    unsigned domain, bus, number;
    if (!text || !device || sscanf(text, "%x:%x:%x", &domain, &bus, &number) != 3)
        return NVML_ERROR_INVALID_ARGUMENT;
    for (unsigned i = 0; i < the_node.state->gpu_count; i++) {
        const struct sim_gpu *gpu = &the_node.state->gpus[i];
        if (gpu->pci_domain == domain && gpu->pci_bus == bus && gpu->pci_device == number)
            return hand_out(function, ref_device(i), device);
    }
    return NVML_ERROR_NOT_FOUND;
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByPciBusId(const char *bus_id, nvmlDevice_t *device) {
    return by_pci(FUNCTION_nvmlDeviceGetHandleByPciBusId, bus_id, device);
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *bus_id, nvmlDevice_t *device) {
    return by_pci(FUNCTION_nvmlDeviceGetHandleByPciBusId_v2, bus_id, device);
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleBySerial(const char *serial, nvmlDevice_t *device) {
    nvmlReturn_t result = enter(FUNCTION_nvmlDeviceGetHandleBySerial, SIM_ANY);
    if (result != NVML_SUCCESS)
        return result;
    if (!serial || !device)
        return NVML_ERROR_INVALID_ARGUMENT;
    for (unsigned i = 0; i < the_node.state->gpu_count; i++)
        if (strcmp(the_node.state->gpus[i].serial_number, serial) == 0)
            return hand_out(FUNCTION_nvmlDeviceGetHandleBySerial, ref_device(i), device);
    return NVML_ERROR_NOT_FOUND;
}
