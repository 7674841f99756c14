/* GPU instances: profiles, placements, create, destroy, list.
 *
 * Three numbers are called a profile: the enum that profile-info calls take, the profile id that all others take, and
 * the CI enum (ci.c). They are different here because they are different on hardware. With MIG mode off every call
 * answers NOT_SUPPORTED. */
#include <stdio.h>
#include <string.h>

#include "internal.h"

static nvmlReturn_t gpu_open(enum sim_function function, nvmlDevice_t device, const void *out, bool change,
                             struct scope *at) {
    nvmlReturn_t result = enter(function, handle_gpu(device));
    if (result != NVML_SUCCESS)
        return result;
    if (!out)
        return NVML_ERROR_INVALID_ARGUMENT;
    result = open_ref(at, device, 1u << HANDLE_GPU, change);
    if (result == NVML_SUCCESS && !at->gpu->mig_current) {
        close_ref(at, 0);
        result = NVML_ERROR_NOT_SUPPORTED;
    }
    return result;
}

static nvmlReturn_t profile_by_enum(const struct sim_gpu *gpu, unsigned gi_enum, const struct sim_profile **found) {
    if (gi_enum >= NVML_GI_PROFILE_COUNT)
        return NVML_ERROR_INVALID_ARGUMENT;
    for (unsigned i = 0; i < gpu->profile_count; i++)
        if (gpu->profiles[i].gi_enum == gi_enum) {
            *found = &gpu->profiles[i];
            return NVML_SUCCESS;
        }
    return NVML_ERROR_NOT_SUPPORTED;
}

EXPORT nvmlReturn_t nvmlDeviceGetGpuInstanceProfileInfo(nvmlDevice_t device, unsigned profile,
                                                        nvmlGpuInstanceProfileInfo_v1_t *info) {
    struct scope at;
    const struct sim_profile *p = NULL;
    nvmlReturn_t result = gpu_open(FUNCTION_nvmlDeviceGetGpuInstanceProfileInfo, device, info, false, &at);
    if (result != NVML_SUCCESS)
        return result;
    result = profile_by_enum(at.gpu, profile, &p);
    if (result == NVML_SUCCESS)
        *info = (nvmlGpuInstanceProfileInfo_v1_t){.id = p->id,
                                                  .slices = p->slices,
                                                  .instances = p->instances,
                                                  .sm = p->sm,
                                                  .copy = p->copy,
                                                  .decoder = p->decoder,
                                                  .encoder = p->encoder,
                                                  .jpeg = p->jpeg,
                                                  .ofa = p->ofa,
                                                  .memory_mib = p->memory_mib};
    close_ref(&at, 0);
    return result;
}

static nvmlReturn_t fill_versioned(const struct sim_profile *p, nvmlGpuInstanceProfileInfo_v2_t *info) {
    nvmlGpuInstanceProfileInfo_v3_t *third = (void *)info; /* the version word says which of the two it is */
    if (info->version == NVML_VERSION(nvmlGpuInstanceProfileInfo_v2_t, 2)) {
        *info = (nvmlGpuInstanceProfileInfo_v2_t){.version = info->version,
                                                  .id = p->id,
                                                  .slices = p->slices,
                                                  .instances = p->instances,
                                                  .sm = p->sm,
                                                  .copy = p->copy,
                                                  .decoder = p->decoder,
                                                  .encoder = p->encoder,
                                                  .jpeg = p->jpeg,
                                                  .ofa = p->ofa,
                                                  .memory_mib = p->memory_mib};
        snprintf(info->name, sizeof info->name, "%s", p->name);
        return NVML_SUCCESS;
    }
    if (info->version == NVML_VERSION(nvmlGpuInstanceProfileInfo_v3_t, 3)) {
        *third = (nvmlGpuInstanceProfileInfo_v3_t){.version = third->version,
                                                   .id = p->id,
                                                   .slices = p->slices,
                                                   .instances = p->instances,
                                                   .sm = p->sm,
                                                   .copy = p->copy,
                                                   .decoder = p->decoder,
                                                   .encoder = p->encoder,
                                                   .jpeg = p->jpeg,
                                                   .ofa = p->ofa,
                                                   .memory_mib = p->memory_mib,
                                                   .capabilities = p->graphics ? NVML_PROFILE_CAPS_GFX : 0};
        snprintf(third->name, sizeof third->name, "%s", p->name);
        return NVML_SUCCESS;
    }
    return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
}

EXPORT nvmlReturn_t nvmlDeviceGetGpuInstanceProfileInfoV(nvmlDevice_t device, unsigned profile,
                                                         nvmlGpuInstanceProfileInfo_v2_t *info) {
    struct scope at;
    const struct sim_profile *p = NULL;
    nvmlReturn_t result = gpu_open(FUNCTION_nvmlDeviceGetGpuInstanceProfileInfoV, device, info, false, &at);
    if (result != NVML_SUCCESS)
        return result;
    result = profile_by_enum(at.gpu, profile, &p);
    if (result == NVML_SUCCESS)
        result = fill_versioned(p, info);
    close_ref(&at, 0);
    return result;
}

/* Opens the GPU and finds the profile by its id; on success the scope must be closed. */
static nvmlReturn_t profile_open(enum sim_function function, nvmlDevice_t device, unsigned id, const void *out,
                                 bool change, struct scope *at, const struct sim_profile **profile) {
    nvmlReturn_t result = gpu_open(function, device, out, change, at);
    if (result != NVML_SUCCESS)
        return result;
    *profile = profile_by_id(at->gpu, id);
    if (*profile)
        return NVML_SUCCESS;
    close_ref(at, 0);
    return NVML_ERROR_INVALID_ARGUMENT;
}

EXPORT nvmlReturn_t nvmlDeviceGetGpuInstanceProfileInfoByIdV(nvmlDevice_t device, unsigned id,
                                                             nvmlGpuInstanceProfileInfo_v2_t *info) {
    struct scope at;
    const struct sim_profile *p = NULL;
    nvmlReturn_t result =
        profile_open(FUNCTION_nvmlDeviceGetGpuInstanceProfileInfoByIdV, device, id, info, false, &at, &p);
    if (result != NVML_SUCCESS)
        return result;
    result = fill_versioned(p, info);
    close_ref(&at, 0);
    return result;
}

EXPORT nvmlReturn_t nvmlDeviceGetGpuInstanceRemainingCapacity(nvmlDevice_t device, unsigned id, unsigned *count) {
    struct scope at;
    const struct sim_profile *p = NULL;
    nvmlReturn_t result =
        profile_open(FUNCTION_nvmlDeviceGetGpuInstanceRemainingCapacity, device, id, count, false, &at, &p);
    if (result != NVML_SUCCESS)
        return result;
    *count = gi_remaining(at.gpu, p);
    close_ref(&at, 0);
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetGpuInstancePossiblePlacements_v2(nvmlDevice_t device, unsigned id,
                                                                  nvmlPlacement_t *out, unsigned *count) {
    struct scope at;
    const struct sim_profile *p = NULL;
    nvmlReturn_t result =
        profile_open(FUNCTION_nvmlDeviceGetGpuInstancePossiblePlacements_v2, device, id, count, false, &at, &p);
    if (result != NVML_SUCCESS)
        return result;
    *count = p->placement_count; /* all legal ones, whether free or not; what the caller put there is not read */
    for (unsigned i = 0; out && i < p->placement_count; i++)
        out[i] = (nvmlPlacement_t){p->placements[i].start, p->size};
    close_ref(&at, 0);
    return NVML_SUCCESS;
}

static nvmlReturn_t create(enum sim_function function, nvmlDevice_t device, unsigned id,
                           const nvmlPlacement_t *at_place, nvmlGpuInstance_t *out) {
    struct scope at;
    const struct sim_profile *p = NULL;
    unsigned gi = 0, busy_ms = 0;
    nvmlReturn_t result = profile_open(function, device, id, out, true, &at, &p);
    if (result != NVML_SUCCESS)
        return result;
    result = gi_create(at.gpu, p, at_place, &gi);
    if (result == NVML_SUCCESS) {
        busy_ms = p->create_gi_ms;
        *out = handle_of(ref_gi(at.ref.gpu, gi));
    }
    close_ref(&at, busy_ms);
    return finish(function, at.ref.gpu, result);
}

EXPORT nvmlReturn_t nvmlDeviceCreateGpuInstance(nvmlDevice_t device, unsigned id, nvmlGpuInstance_t *out) {
    return create(FUNCTION_nvmlDeviceCreateGpuInstance, device, id, NULL, out);
}

EXPORT nvmlReturn_t nvmlDeviceCreateGpuInstanceWithPlacement(nvmlDevice_t device, unsigned id,
                                                             const nvmlPlacement_t *placement, nvmlGpuInstance_t *out) {
    return create(FUNCTION_nvmlDeviceCreateGpuInstanceWithPlacement, device, id, placement, placement ? out : NULL);
}

EXPORT nvmlReturn_t nvmlGpuInstanceDestroy(nvmlGpuInstance_t instance) {
    struct scope at;
    nvmlReturn_t result = enter(FUNCTION_nvmlGpuInstanceDestroy, handle_gpu(instance));
    if (result == NVML_SUCCESS)
        result = open_ref(&at, instance, 1u << HANDLE_GI, true);
    if (result != NVML_SUCCESS)
        return result;
    unsigned busy_ms = profile_of(at.gpu, &at.gpu->gis[at.ref.gi])->destroy_gi_ms;
    result = gi_destroy(at.gpu, at.ref.gi);
    close_ref(&at, result == NVML_SUCCESS ? busy_ms : 0);
    return finish(FUNCTION_nvmlGpuInstanceDestroy, at.ref.gpu, result);
}

/* The caller's array has room for as many instances as the profile allows, which is what NVML asks of it. */
EXPORT nvmlReturn_t nvmlDeviceGetGpuInstances(nvmlDevice_t device, unsigned id, nvmlGpuInstance_t *out,
                                              unsigned *count) {
    struct scope at;
    const struct sim_profile *p = NULL;
    nvmlReturn_t result =
        profile_open(FUNCTION_nvmlDeviceGetGpuInstances, device, id, count && out ? out : NULL, false, &at, &p);
    if (result != NVML_SUCCESS)
        return result;
    *count = 0;
    for (unsigned gi = 0; gi < SIM_GI_IDS; gi++)
        if (at.gpu->gis[gi].used && profile_of(at.gpu, &at.gpu->gis[gi]) == p)
            out[(*count)++] = handle_of(ref_gi(at.ref.gpu, gi));
    close_ref(&at, 0);
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetGpuInstanceById(nvmlDevice_t device, unsigned id, nvmlGpuInstance_t *out) {
    struct scope at;
    nvmlReturn_t result = gpu_open(FUNCTION_nvmlDeviceGetGpuInstanceById, device, out, false, &at);
    if (result != NVML_SUCCESS)
        return result;
    if (id < SIM_GI_IDS && at.gpu->gis[id].used)
        *out = handle_of(ref_gi(at.ref.gpu, id));
    else
        result = NVML_ERROR_NOT_FOUND;
    close_ref(&at, 0);
    return result;
}

EXPORT nvmlReturn_t nvmlGpuInstanceGetInfo(nvmlGpuInstance_t instance, nvmlGpuInstanceInfo_t *info) {
    struct scope at;
    nvmlReturn_t result = enter(FUNCTION_nvmlGpuInstanceGetInfo, handle_gpu(instance));
    if (result != NVML_SUCCESS)
        return result;
    if (!info)
        return NVML_ERROR_INVALID_ARGUMENT;
    result = open_ref(&at, instance, 1u << HANDLE_GI, false);
    if (result != NVML_SUCCESS)
        return result;
    const struct sim_gi *gi = &at.gpu->gis[at.ref.gi];
    const struct sim_profile *p = profile_of(at.gpu, gi);
    *info = (nvmlGpuInstanceInfo_t){.device = handle_of(ref_device(at.ref.gpu)),
                                    .id = at.ref.gi,
                                    .profile_id = p->id,
                                    .placement = {gi->start, p->size}};
    close_ref(&at, 0);
    return NVML_SUCCESS;
}
