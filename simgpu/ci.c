/* Compute instances: profiles within a GI, create, destroy, list.
 *
 * On this side of the driver the profile id equals the CI enum, by slice count: 1, 2, 3, 4, 7 slices are 0, 1, 2, 3, 4.
 * Enums 7 and 8 have inviting names and are never offered: they answer NOT_SUPPORTED. */
#include <stdio.h>
#include <string.h>

#include "internal.h"

static nvmlReturn_t gi_open(enum sim_function function, nvmlGpuInstance_t instance, const void *out, bool change,
                            struct scope *at) {
    nvmlReturn_t result = enter(function, handle_gpu(instance));
    if (result != NVML_SUCCESS)
        return result;
    return out ? open_ref(at, instance, 1u << HANDLE_GI, change) : NVML_ERROR_INVALID_ARGUMENT;
}

static const struct sim_gi *gi_at(const struct scope *at) {
    return &at->gpu->gis[at->ref.gi];
}

static const struct sim_profile *gi_profile(const struct scope *at) {
    return profile_of(at->gpu, gi_at(at));
}

/* Opens the GI and checks that it offers the profile; on success the scope must be closed. */
static nvmlReturn_t profile_open(enum sim_function function, nvmlGpuInstance_t instance, unsigned ci_enum,
                                 const void *out, bool change, struct scope *at) {
    nvmlReturn_t result = gi_open(function, instance, out, change, at);
    if (result != NVML_SUCCESS)
        return result;
    if (ci_enum >= NVML_CI_PROFILE_COUNT)
        result = NVML_ERROR_INVALID_ARGUMENT;
    else if (!ci_fits_profile(gi_profile(at), ci_enum))
        result = NVML_ERROR_NOT_SUPPORTED;
    if (result != NVML_SUCCESS)
        close_ref(at, 0);
    return result;
}

static nvmlComputeInstanceProfileInfo_v1_t facts(const struct scope *at, unsigned ci_enum) {
    const struct sim_profile *p = gi_profile(at);
    unsigned slices = the_node.state->ci_slices[ci_enum];
    return (nvmlComputeInstanceProfileInfo_v1_t){.id = ci_enum,
                                                 .slices = slices,
                                                 .instances = p->slices / slices,
                                                 .sm = p->sm * slices / p->slices,
                                                 .copy = p->copy,
                                                 .decoder = p->decoder,
                                                 .encoder = p->encoder,
                                                 .jpeg = p->jpeg,
                                                 .ofa = p->ofa};
}

EXPORT nvmlReturn_t nvmlGpuInstanceGetComputeInstanceProfileInfo(nvmlGpuInstance_t instance, unsigned profile,
                                                                 unsigned engine,
                                                                 nvmlComputeInstanceProfileInfo_v1_t *info) {
    struct scope at;
    nvmlReturn_t result = profile_open(FUNCTION_nvmlGpuInstanceGetComputeInstanceProfileInfo, instance, profile,
                                       engine == NVML_CI_ENGINE_PROFILE_SHARED ? info : NULL, false, &at);
    if (result != NVML_SUCCESS)
        return result;
    *info = facts(&at, profile);
    close_ref(&at, 0);
    return NVML_SUCCESS;
}

/* Versions 2 and 3 share all fields up to the name; version 3 ends in one more. */
static nvmlReturn_t fill_versioned(const struct scope *at, unsigned ci_enum,
                                   nvmlComputeInstanceProfileInfo_v2_t *info) {
    bool third = info->version == NVML_VERSION(nvmlComputeInstanceProfileInfo_v3_t, 3);
    if (!third && info->version != NVML_VERSION(nvmlComputeInstanceProfileInfo_v2_t, 2))
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    nvmlComputeInstanceProfileInfo_v1_t f = facts(at, ci_enum);
    memcpy(&info->id, &f, sizeof f);
    memset(info->name, 0, sizeof info->name);
    ci_name(the_node.state, gi_profile(at), ci_enum, info->name);
    if (third)
        ((nvmlComputeInstanceProfileInfo_v3_t *)(void *)info)->capabilities =
            gi_profile(at)->graphics ? NVML_CI_PROFILE_CAPS_GFX : 0;
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlGpuInstanceGetComputeInstanceProfileInfoV(nvmlGpuInstance_t instance, unsigned profile,
                                                                  unsigned engine,
                                                                  nvmlComputeInstanceProfileInfo_v2_t *info) {
    struct scope at;
    nvmlReturn_t result = profile_open(FUNCTION_nvmlGpuInstanceGetComputeInstanceProfileInfoV, instance, profile,
                                       engine == NVML_CI_ENGINE_PROFILE_SHARED ? info : NULL, false, &at);
    if (result != NVML_SUCCESS)
        return result;
    result = fill_versioned(&at, profile, info);
    close_ref(&at, 0);
    return result;
}

EXPORT nvmlReturn_t nvmlGpuInstanceGetComputeInstanceRemainingCapacity(nvmlGpuInstance_t instance, unsigned profile,
                                                                       unsigned *count) {
    struct scope at;
    nvmlReturn_t result = profile_open(FUNCTION_nvmlGpuInstanceGetComputeInstanceRemainingCapacity, instance, profile,
                                       count, false, &at);
    if (result != NVML_SUCCESS)
        return result;
    *count = ci_remaining(the_node.state, at.gpu, gi_at(&at), profile);
    close_ref(&at, 0);
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlGpuInstanceGetComputeInstancePossiblePlacements(nvmlGpuInstance_t instance, unsigned profile,
                                                                        nvmlPlacement_t *out, unsigned *count) {
    struct scope at;
    nvmlReturn_t result = profile_open(FUNCTION_nvmlGpuInstanceGetComputeInstancePossiblePlacements, instance, profile,
                                       count, false, &at);
    if (result != NVML_SUCCESS)
        return result;
    unsigned size = the_node.state->ci_slices[profile];
    *count = gi_profile(&at)->slices / size;
    for (unsigned i = 0; out && i < *count; i++)
        out[i] = (nvmlPlacement_t){i * size, size};
    close_ref(&at, 0);
    return NVML_SUCCESS;
}

static nvmlReturn_t create(enum sim_function function, nvmlGpuInstance_t instance, unsigned profile,
                           const nvmlPlacement_t *placement, nvmlComputeInstance_t *out) {
    struct scope at;
    unsigned ci = 0;
    nvmlReturn_t result = profile_open(function, instance, profile, out, true, &at);
    if (result != NVML_SUCCESS)
        return result;
    result = ci_create(the_node.state, at.gpu, at.ref.gi, profile, placement, &ci);
    unsigned busy_ms = result == NVML_SUCCESS ? gi_profile(&at)->create_ci_ms : 0;
    if (result == NVML_SUCCESS)
        *out = handle_of(ref_ci(HANDLE_CI, at.ref.gpu, at.ref.gi, ci));
    close_ref(&at, busy_ms);
    return finish(function, at.ref.gpu, result);
}

EXPORT nvmlReturn_t nvmlGpuInstanceCreateComputeInstance(nvmlGpuInstance_t instance, unsigned profile,
                                                         nvmlComputeInstance_t *out) {
    return create(FUNCTION_nvmlGpuInstanceCreateComputeInstance, instance, profile, NULL, out);
}

EXPORT nvmlReturn_t nvmlGpuInstanceCreateComputeInstanceWithPlacement(nvmlGpuInstance_t instance, unsigned profile,
                                                                      const nvmlPlacement_t *placement,
                                                                      nvmlComputeInstance_t *out) {
    return create(FUNCTION_nvmlGpuInstanceCreateComputeInstanceWithPlacement, instance, profile, placement,
                  placement ? out : NULL);
}

EXPORT nvmlReturn_t nvmlComputeInstanceDestroy(nvmlComputeInstance_t instance) {
    struct scope at;
    nvmlReturn_t result = enter(FUNCTION_nvmlComputeInstanceDestroy, handle_gpu(instance));
    if (result == NVML_SUCCESS)
        result = open_ref(&at, instance, 1u << HANDLE_CI, true);
    if (result != NVML_SUCCESS)
        return result;
    result = ci_destroy(at.gpu, at.ref.gi, at.ref.ci);
    close_ref(&at, result == NVML_SUCCESS ? gi_profile(&at)->destroy_ci_ms : 0);
    return finish(FUNCTION_nvmlComputeInstanceDestroy, at.ref.gpu, result);
}

EXPORT nvmlReturn_t nvmlGpuInstanceGetComputeInstances(nvmlGpuInstance_t instance, unsigned profile,
                                                       nvmlComputeInstance_t *out, unsigned *count) {
    struct scope at;
    nvmlReturn_t result = profile_open(FUNCTION_nvmlGpuInstanceGetComputeInstances, instance, profile,
                                       count && out ? out : NULL, false, &at);
    if (result != NVML_SUCCESS)
        return result;
    *count = 0;
    for (unsigned ci = 0; ci < SIM_CI_IDS; ci++)
        if (gi_at(&at)->cis[ci].used && gi_at(&at)->cis[ci].ci_enum == profile)
            out[(*count)++] = handle_of(ref_ci(HANDLE_CI, at.ref.gpu, at.ref.gi, ci));
    close_ref(&at, 0);
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlGpuInstanceGetComputeInstanceById(nvmlGpuInstance_t instance, unsigned id,
                                                          nvmlComputeInstance_t *out) {
    struct scope at;
    nvmlReturn_t result = gi_open(FUNCTION_nvmlGpuInstanceGetComputeInstanceById, instance, out, false, &at);
    if (result != NVML_SUCCESS)
        return result;
    if (id < SIM_CI_IDS && gi_at(&at)->cis[id].used)
        *out = handle_of(ref_ci(HANDLE_CI, at.ref.gpu, at.ref.gi, id));
    else
        result = NVML_ERROR_NOT_FOUND;
    close_ref(&at, 0);
    return result;
}

/* `device` is the MIG device that this compute instance is, hence the shortest way to its UUID. */
EXPORT nvmlReturn_t nvmlComputeInstanceGetInfo_v2(nvmlComputeInstance_t instance, nvmlComputeInstanceInfo_t *info) {
    struct scope at;
    nvmlReturn_t result = enter(FUNCTION_nvmlComputeInstanceGetInfo_v2, handle_gpu(instance));
    if (result != NVML_SUCCESS)
        return result;
    if (!info)
        return NVML_ERROR_INVALID_ARGUMENT;
    result = open_ref(&at, instance, 1u << HANDLE_CI, false);
    if (result != NVML_SUCCESS)
        return result;
    const struct sim_ci *ci = &gi_at(&at)->cis[at.ref.ci];
    *info = (nvmlComputeInstanceInfo_t){.device = handle_of(ref_ci(HANDLE_MIG, at.ref.gpu, at.ref.gi, at.ref.ci)),
                                        .gpu_instance = handle_of(ref_gi(at.ref.gpu, at.ref.gi)),
                                        .id = at.ref.ci,
                                        .profile_id = ci->ci_enum,
                                        .placement = {ci->start, ci->size}};
    close_ref(&at, 0);
    return NVML_SUCCESS;
}
