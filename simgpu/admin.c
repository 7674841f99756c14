/* The door for Python: changes that an administrator, another tool or a test makes behind the back of NVML's clients.
 *
 * Why here and not in Python: they obey the same rules through the same code (instances.c). They open the node's folder
 * themselves, so one process may serve many nodes, and they are no NVML calls: not counted, no faults, no latencies.
 * Each returns an nvmlReturn_t. */
#include "internal.h"

struct admin {
    struct sim_node node;
    struct sim_gpu *gpu;
    struct gpu_lock busy, lock;
};

/* An administrator's tools need a sound driver and GPU as much as any other client. */
static nvmlReturn_t health(const struct admin *admin) {
    return trouble(admin->node.state, FUNCTION_nvmlInit_v2, SIM_ANY) ?:
           gpu_trouble(FUNCTION_nvmlDeviceSetMigMode, admin->gpu);
}

static void leave(struct admin *admin) {
    gpu_unlock(&admin->lock);
    gpu_unlock(&admin->busy);
    node_close(&admin->node);
}

static nvmlReturn_t come_in(struct admin *admin, const char *directory, unsigned gpu) {
    *admin = (struct admin){.busy = {-1}, .lock = {-1}};
    nvmlReturn_t result = node_open(&admin->node, directory);
    if (result == NVML_SUCCESS && gpu >= admin->node.state->gpu_count)
        result = NVML_ERROR_INVALID_ARGUMENT;
    else if (result == NVML_SUCCESS && (!gpu_lock(&admin->node, gpu, LOCK_LONG, &admin->busy) ||
                                        !gpu_lock(&admin->node, gpu, LOCK_SHORT, &admin->lock)))
        result = NVML_ERROR_OPERATING_SYSTEM;
    if (result == NVML_SUCCESS) {
        admin->gpu = &admin->node.state->gpus[gpu];
        result = health(admin);
    }
    if (result != NVML_SUCCESS)
        leave(admin);
    return result;
}

/* A GI at the given start with one CI over all of its compute slices, or, with with_ci 0, a bare GI. */
EXPORT nvmlReturn_t simgpu_create(const char *directory, unsigned gpu, unsigned profile_id, unsigned start, int with_ci,
                                  unsigned *gi) {
    struct admin admin;
    nvmlReturn_t result = come_in(&admin, directory, gpu);
    if (result != NVML_SUCCESS)
        return result;
    const struct sim_profile *profile = profile_by_id(admin.gpu, profile_id);
    if (!profile || !admin.gpu->mig_current) {
        leave(&admin);
        return profile ? NVML_ERROR_NOT_SUPPORTED : NVML_ERROR_INVALID_ARGUMENT;
    }
    result = gi_create(admin.gpu, profile, &(nvmlPlacement_t){start, profile->size}, gi);
    for (unsigned e = 0, ci = 0; result == NVML_SUCCESS && with_ci && e < SIM_CI_PROFILES; e++)
        if (ci_fits_profile(profile, e) && admin.node.state->ci_slices[e] == profile->slices) {
            result = ci_create(admin.node.state, admin.gpu, *gi, e, NULL, &ci);
            break;
        }
    leave(&admin);
    return result;
}

/* The GI and all of its CIs; IN_USE, with nothing destroyed, while a process holds one of them. */
EXPORT nvmlReturn_t simgpu_destroy(const char *directory, unsigned gpu, unsigned gi) {
    struct admin admin;
    nvmlReturn_t result = come_in(&admin, directory, gpu);
    if (result != NVML_SUCCESS)
        return result;
    if (gi >= SIM_GI_IDS || !admin.gpu->gis[gi].used) {
        leave(&admin);
        return NVML_ERROR_NOT_FOUND;
    }
    for (unsigned i = 0; i < SIM_HOLDS && result == NVML_SUCCESS; i++) {
        struct sim_hold *hold = &admin.gpu->holds[i];
        if (hold->ci_serial && hold->gi_id == gi && hold_blocks(admin.gpu, hold))
            result = NVML_ERROR_IN_USE;
    }
    for (unsigned ci = 0; ci < SIM_CI_IDS && result == NVML_SUCCESS; ci++)
        if (admin.gpu->gis[gi].cis[ci].used)
            result = ci_destroy(admin.gpu, gi, ci);
    if (result == NVML_SUCCESS)
        result = gi_destroy(admin.gpu, gi);
    leave(&admin);
    return result;
}

EXPORT nvmlReturn_t simgpu_set_mig_mode(const char *directory, unsigned gpu, unsigned mode, nvmlReturn_t *activation) {
    struct admin admin;
    nvmlReturn_t result = come_in(&admin, directory, gpu);
    if (result != NVML_SUCCESS)
        return result;
    result = mig_mode_set(admin.gpu, mode, activation);
    leave(&admin);
    return result;
}
