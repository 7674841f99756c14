/* What a device says about itself.
 *
 * A MIG device handle is accepted wherever the driver accepts one; what has no meaning for a part of a GPU (minor
 * number, PCI address) answers NOT_SUPPORTED there, as engine counts do for a whole GPU. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include "internal.h"

#define MIB (1024ULL * 1024ULL)

/* The MIG device's place among those of its GPU, in the order of GI and CI ids. */
static unsigned mig_index(const struct sim_gpu *gpu, unsigned gi, unsigned ci) {
    unsigned index = 0;
    for (unsigned i = 0; i < gi * SIM_CI_IDS + ci; i++)
        index += gpu->gis[i / SIM_CI_IDS].used && gpu->gis[i / SIM_CI_IDS].cis[i % SIM_CI_IDS].used;
    return index;
}

static nvmlReturn_t device_open(enum sim_function function, nvmlDevice_t device, const void *out, unsigned kinds,
                                struct scope *scope) {
    nvmlReturn_t result = enter(function, handle_gpu(device));
    if (result != NVML_SUCCESS)
        return result;
    if (!out)
        return NVML_ERROR_INVALID_ARGUMENT;
    result = open_ref(scope, device, DEVICE_KINDS, false);
    if (result == NVML_SUCCESS && !(kinds >> scope->ref.kind & 1u)) {
        close_ref(scope, 0);
        result = NVML_ERROR_NOT_SUPPORTED;
    }
    return result;
}

EXPORT nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t device, unsigned *index) {
    struct scope at;
    nvmlReturn_t result = device_open(FUNCTION_nvmlDeviceGetIndex, device, index, DEVICE_KINDS, &at);
    if (result != NVML_SUCCESS)
        return result;
    *index = at.ref.kind == HANDLE_GPU ? at.ref.gpu : mig_index(at.gpu, at.ref.gi, at.ref.ci);
    close_ref(&at, 0);
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetMinorNumber(nvmlDevice_t device, unsigned *minor) {
    struct scope at;
    nvmlReturn_t result = device_open(FUNCTION_nvmlDeviceGetMinorNumber, device, minor, 1u << HANDLE_GPU, &at);
    if (result != NVML_SUCCESS)
        return result;
    *minor = at.ref.gpu;
    close_ref(&at, 0);
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned length) {
    struct scope at;
    nvmlReturn_t result = device_open(FUNCTION_nvmlDeviceGetUUID, device, uuid, DEVICE_KINDS, &at);
    if (result != NVML_SUCCESS)
        return result;
    char text[48];
    if (at.ref.kind == HANDLE_GPU)
        memcpy(text, at.gpu->uuid, sizeof text);
    else
        mig_uuid_text(at.gpu, at.ref.gi, at.ref.ci, text);
    close_ref(&at, 0);
    return copy_text(uuid, length, text);
}

EXPORT nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned length) {
    struct scope at;
    nvmlReturn_t result = device_open(FUNCTION_nvmlDeviceGetName, device, name, DEVICE_KINDS, &at);
    if (result != NVML_SUCCESS)
        return result;
    char text[256], profile[NVML_NAME_SIZE];
    int written = snprintf(text, sizeof text, "%s", at.gpu->name);
    if (at.ref.kind == HANDLE_MIG && written > 0) {
        const struct sim_gi *gi = &at.gpu->gis[at.ref.gi];
        ci_name(the_node.state, profile_of(at.gpu, gi), gi->cis[at.ref.ci].ci_enum, profile);
        snprintf(text + written, sizeof text - (size_t)written, " %s", profile);
    }
    close_ref(&at, 0);
    return copy_text(name, length, text);
}

EXPORT nvmlReturn_t nvmlDeviceGetSerial(nvmlDevice_t device, char *serial, unsigned length) {
    struct scope at;
    nvmlReturn_t result = device_open(FUNCTION_nvmlDeviceGetSerial, device, serial, DEVICE_KINDS, &at);
    if (result != NVML_SUCCESS)
        return result;
    result = copy_text(serial, length, at.gpu->serial_number);
    close_ref(&at, 0);
    return result;
}

EXPORT nvmlReturn_t nvmlDeviceGetBrand(nvmlDevice_t device, unsigned *brand) {
    struct scope at;
    nvmlReturn_t result = device_open(FUNCTION_nvmlDeviceGetBrand, device, brand, DEVICE_KINDS, &at);
    if (result != NVML_SUCCESS)
        return result;
    *brand = NVML_BRAND_NVIDIA;
    close_ref(&at, 0);
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetArchitecture(nvmlDevice_t device, unsigned *architecture) {
    struct scope at;
    nvmlReturn_t result = device_open(FUNCTION_nvmlDeviceGetArchitecture, device, architecture, DEVICE_KINDS, &at);
    if (result != NVML_SUCCESS)
        return result;
    *architecture = at.gpu->architecture;
    close_ref(&at, 0);
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetCudaComputeCapability(nvmlDevice_t device, int *major, int *minor) {
    struct scope at;
    const void *out = major && minor ? major : NULL;
    nvmlReturn_t result = device_open(FUNCTION_nvmlDeviceGetCudaComputeCapability, device, out, DEVICE_KINDS, &at);
    if (result != NVML_SUCCESS)
        return result;
    *major = (int)at.gpu->cc_major;
    *minor = (int)at.gpu->cc_minor;
    close_ref(&at, 0);
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetPersistenceMode(nvmlDevice_t device, unsigned *mode) {
    struct scope at;
    nvmlReturn_t result = device_open(FUNCTION_nvmlDeviceGetPersistenceMode, device, mode, 1u << HANDLE_GPU, &at);
    if (result != NVML_SUCCESS)
        return result;
    *mode = 1;
    close_ref(&at, 0);
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *pci) {
    struct scope at;
    nvmlReturn_t result = device_open(FUNCTION_nvmlDeviceGetPciInfo_v3, device, pci, 1u << HANDLE_GPU, &at);
    if (result != NVML_SUCCESS)
        return result;
    const struct sim_gpu *gpu = at.gpu;
    memset(pci, 0, sizeof *pci);
    pci->domain = gpu->pci_domain;
    pci->bus = gpu->pci_bus;
    pci->device = gpu->pci_device;
    pci->pci_device_id = gpu->pci_device_id;
    snprintf(pci->bus_id_legacy, sizeof pci->bus_id_legacy, "%04X:%02X:%02X.0", gpu->pci_domain & 0xffff,
             gpu->pci_bus & 0xff, gpu->pci_device & 0xff);
    snprintf(pci->bus_id, sizeof pci->bus_id, "%08X:%02X:%02X.0", gpu->pci_domain, gpu->pci_bus & 0xff,
             gpu->pci_device & 0xff);
    close_ref(&at, 0);
    return NVML_SUCCESS;
}

/* Total and used bytes of a GPU, or of the GI that a MIG device belongs to (memory is divided by GI, not by CI). */
static void memory_of(const struct scope *at, unsigned long long *total, unsigned long long *used) {
    struct sim_gpu *gpu = at->gpu;
    bool whole = at->ref.kind == HANDLE_GPU;
    *total = (whole ? gpu->memory_mib : profile_of(gpu, &gpu->gis[at->ref.gi])->memory_mib) * MIB;
    *used = 0;
    for (unsigned i = 0; i < SIM_HOLDS; i++) {
        struct sim_hold *hold = &gpu->holds[i];
        if (hold_is_live(gpu, hold) && (whole || (hold->ci_serial && hold->gi_id == at->ref.gi)))
            *used += hold->memory_bytes;
    }
    if (*used > *total)
        *used = *total;
}

EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory) {
    struct scope at;
    nvmlReturn_t result = device_open(FUNCTION_nvmlDeviceGetMemoryInfo, device, memory, DEVICE_KINDS, &at);
    if (result != NVML_SUCCESS)
        return result;
    memory_of(&at, &memory->total, &memory->used);
    memory->free = memory->total - memory->used;
    close_ref(&at, 0);
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *memory) {
    struct scope at;
    nvmlReturn_t result = device_open(FUNCTION_nvmlDeviceGetMemoryInfo_v2, device, memory, DEVICE_KINDS, &at);
    if (result != NVML_SUCCESS)
        return result;
    if (memory->version == NVML_VERSION(nvmlMemory_v2_t, 2)) {
        memory_of(&at, &memory->total, &memory->used);
        memory->reserved = 0;
        memory->free = memory->total - memory->used;
    } else {
        result = NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    }
    close_ref(&at, 0);
    return result;
}

EXPORT nvmlReturn_t nvmlDeviceGetAttributes_v2(nvmlDevice_t device, nvmlDeviceAttributes_t *out) {
    struct scope at;
    nvmlReturn_t result = device_open(FUNCTION_nvmlDeviceGetAttributes_v2, device, out, 1u << HANDLE_MIG, &at);
    if (result != NVML_SUCCESS)
        return result;
    const struct sim_gi *gi = &at.gpu->gis[at.ref.gi];
    const struct sim_profile *profile = profile_of(at.gpu, gi);
    unsigned slices = gi->cis[at.ref.ci].size;
    *out = (nvmlDeviceAttributes_t){.sm = profile->sm * slices / profile->slices,
                                    .copy = profile->copy,
                                    .decoder = profile->decoder,
                                    .encoder = profile->encoder,
                                    .jpeg = profile->jpeg,
                                    .ofa = profile->ofa,
                                    .gi_slices = profile->slices,
                                    .ci_slices = slices,
                                    .memory_mib = profile->memory_mib};
    close_ref(&at, 0);
    return NVML_SUCCESS;
}
