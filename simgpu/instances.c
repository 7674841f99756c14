/* The rules of MIG on one GPU: what may be created where, what may be destroyed, and when the mode may change.
 *
 * Why apart: NVML's entry points and the door for Python obey the same rules. Promise: every change is published by one
 * store (state.h), so that dying anywhere in here leaves either the old or the new state. The caller holds the GPU's
 * SHORT lock; nothing here sleeps, and nothing knows handles. */
#include <stdio.h>
#include <string.h>

#include "internal.h"

static void publish(uint32_t *used) {
    __atomic_store_n(used, 1, __ATOMIC_RELEASE);
}

static void withdraw(uint32_t *used) {
    __atomic_store_n(used, 0, __ATOMIC_RELEASE);
}

static bool overlap(unsigned start, unsigned size, unsigned other, unsigned other_size) {
    return start < other + other_size && other < start + size;
}

const struct sim_profile *profile_by_id(const struct sim_gpu *gpu, unsigned id) {
    for (unsigned i = 0; i < gpu->profile_count; i++)
        if (gpu->profiles[i].id == id)
            return &gpu->profiles[i];
    return NULL;
}

const struct sim_profile *profile_of(const struct sim_gpu *gpu, const struct sim_gi *gi) {
    return &gpu->profiles[gi->profile];
}

static bool room_is_free(const struct sim_gpu *gpu, unsigned start, unsigned size) {
    for (unsigned i = 0; i < SIM_GI_IDS; i++) {
        const struct sim_gi *gi = &gpu->gis[i];
        if (gi->used && overlap(start, size, gi->start, profile_of(gpu, gi)->size))
            return false;
    }
    return true;
}

/* How many more the counts alone allow: the profile's own bound, and one extra media engine set a GPU. */
static unsigned allowance(const struct sim_gpu *gpu, const struct sim_profile *profile) {
    unsigned left = profile->instances;
    for (unsigned i = 0; i < SIM_GI_IDS; i++) {
        const struct sim_gi *gi = &gpu->gis[i];
        if (!gi->used)
            continue;
        const struct sim_profile *other = profile_of(gpu, gi);
        if (other->media && profile->media)
            return 0;
        if (other == profile && left > 0)
            left--;
    }
    return left;
}

/* Placements of one profile never overlap each other, so the free ones can all be filled, up to the allowance. */
unsigned gi_remaining(const struct sim_gpu *gpu, const struct sim_profile *profile) {
    unsigned room = 0, allowed = allowance(gpu, profile);
    for (unsigned i = 0; i < profile->placement_count; i++)
        room += room_is_free(gpu, profile->placements[i].start, profile->size);
    return room < allowed ? room : allowed;
}

/* The driver's own choice: the free placement of the lowest rank. */
static const struct sim_placement *first_free(const struct sim_gpu *gpu, const struct sim_profile *profile) {
    const struct sim_placement *best = NULL;
    for (unsigned i = 0; i < profile->placement_count; i++) {
        const struct sim_placement *place = &profile->placements[i];
        if (room_is_free(gpu, place->start, profile->size) && (!best || place->rank < best->rank))
            best = place;
    }
    return best;
}

static const struct sim_placement *placement_at(const struct sim_profile *profile, const nvmlPlacement_t *at) {
    for (unsigned i = 0; i < profile->placement_count; i++)
        if (profile->placements[i].start == at->start && profile->size == at->size)
            return &profile->placements[i];
    return NULL;
}

nvmlReturn_t gi_create(struct sim_gpu *gpu, const struct sim_profile *profile, const nvmlPlacement_t *at,
                       unsigned *id) {
    const struct sim_placement *place = at ? placement_at(profile, at) : first_free(gpu, profile);
    if (at && !place)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (gpu->mig_pending != gpu->mig_current) /* assumed: a GPU that is about to leave MIG mode takes nothing new */
        return NVML_ERROR_RESET_REQUIRED;
    if (!place || allowance(gpu, profile) == 0 || !room_is_free(gpu, place->start, profile->size))
        return NVML_ERROR_INSUFFICIENT_RESOURCES;
    struct sim_gi *gi = &gpu->gis[place->gi_id]; /* its room is free, hence its id is, too */
    gpu->serial++;
    memset(gi, 0, sizeof *gi);
    gi->profile = (uint32_t)(profile - gpu->profiles);
    gi->start = place->start;
    gi->serial = gpu->serial;
    publish(&gi->used);
    *id = place->gi_id;
    return NVML_SUCCESS;
}

nvmlReturn_t gi_destroy(struct sim_gpu *gpu, unsigned gi) {
    for (unsigned i = 0; i < SIM_CI_IDS; i++)
        if (gpu->gis[gi].cis[i].used)
            return NVML_ERROR_IN_USE;
    withdraw(&gpu->gis[gi].used);
    return NVML_SUCCESS;
}

bool ci_fits_profile(const struct sim_profile *profile, unsigned ci_enum) {
    return ci_enum < SIM_CI_PROFILES && (profile->ci_mask >> ci_enum & 1u);
}

void ci_name(const struct sim_state *state, const struct sim_profile *profile, unsigned ci_enum,
             char out[NVML_NAME_SIZE]) {
    const char *bare = strncmp(profile->name, "MIG ", 4) == 0 ? profile->name + 4 : profile->name;
    if (state->ci_slices[ci_enum] == profile->slices)
        snprintf(out, NVML_NAME_SIZE, "%s", profile->name);
    else
        snprintf(out, NVML_NAME_SIZE, "MIG %uc.%s", state->ci_slices[ci_enum], bare);
}

static bool ci_room_is_free(const struct sim_gi *gi, unsigned start, unsigned size) {
    for (unsigned i = 0; i < SIM_CI_IDS; i++)
        if (gi->cis[i].used && overlap(start, size, gi->cis[i].start, gi->cis[i].size))
            return false;
    return true;
}

unsigned ci_remaining(const struct sim_state *state, const struct sim_gpu *gpu, const struct sim_gi *gi, unsigned e) {
    unsigned size = state->ci_slices[e], room = 0;
    for (unsigned start = 0; start + size <= profile_of(gpu, gi)->slices; start += size)
        room += ci_room_is_free(gi, start, size);
    return room;
}

nvmlReturn_t ci_create(const struct sim_state *state, struct sim_gpu *gpu, unsigned gi, unsigned ci_enum,
                       const nvmlPlacement_t *at, unsigned *id) {
    struct sim_gi *parent = &gpu->gis[gi];
    unsigned slices = profile_of(gpu, parent)->slices, slot = 0;
    if (!ci_fits_profile(profile_of(gpu, parent), ci_enum))
        return NVML_ERROR_NOT_SUPPORTED;
    unsigned size = state->ci_slices[ci_enum], start = at ? at->start : 0;
    if (at && (at->size != size || at->start % size || at->start + size > slices))
        return NVML_ERROR_INVALID_ARGUMENT;
    while (!at && start + size <= slices && !ci_room_is_free(parent, start, size))
        start += size;
    while (slot < SIM_CI_IDS && parent->cis[slot].used)
        slot++;
    if (start + size > slices || !ci_room_is_free(parent, start, size) || slot == SIM_CI_IDS)
        return NVML_ERROR_INSUFFICIENT_RESOURCES;
    struct sim_ci *ci = &parent->cis[slot];
    gpu->serial++;
    *ci = (struct sim_ci){.ci_enum = ci_enum, .start = start, .size = size, .serial = gpu->serial};
    publish(&ci->used);
    *id = slot;
    return NVML_SUCCESS;
}

nvmlReturn_t ci_destroy(struct sim_gpu *gpu, unsigned gi, unsigned ci) {
    for (unsigned i = 0; i < SIM_HOLDS; i++)
        if (gpu->holds[i].ci_serial == gpu->gis[gi].cis[ci].serial && hold_blocks(gpu, &gpu->holds[i]))
            return NVML_ERROR_IN_USE;
    withdraw(&gpu->gis[gi].cis[ci].used);
    return NVML_SUCCESS;
}

/* The wish is always noted; whether it is in force already is what `activation` says. */
nvmlReturn_t mig_mode_set(struct sim_gpu *gpu, unsigned mode, nvmlReturn_t *activation) {
    if (!gpu->mig_capable)
        return NVML_ERROR_NOT_SUPPORTED;
    if (mode > 1)
        return NVML_ERROR_INVALID_ARGUMENT;
    gpu->mig_pending = mode;
    *activation = NVML_SUCCESS;
    if (mode == gpu->mig_current)
        return NVML_SUCCESS;
    if (gpu_is_busy(gpu))
        *activation = NVML_ERROR_IN_USE;
    else if (gpu->mig_needs_reset)
        *activation = NVML_ERROR_RESET_REQUIRED;
    else
        gpu->mig_current = mode;
    return NVML_SUCCESS;
}
