/* Processes on a GPU: which hold is alive, which lingers, and whether a GPU is in use.
 *
 * A process is gone when it exits, also while its parent has not waited for it: its death needs no call to be seen. The
 * driver needs a moment longer, though: with `linger_ms` a device is listed as free and still answers IN_USE for so
 * long. Nobody watches processes here, so that moment counts from when the hold was released, or else from the first
 * look at it after the death. The caller holds the GPU's SHORT lock. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "internal.h"

static bool process_lives(unsigned pid, uint64_t started) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%u/stat", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    char *rest = strrchr(text, ')'); /* the name before it may hold anything, blanks and brackets too */
    char state;
    unsigned long long start;
    if (!rest || sscanf(rest + 1, " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
                        &state, &start) != 2)
        return false;
    return state != 'Z' && state != 'X' && start == started;
}

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* What the process used is there no more: its instance was destroyed, by a reset or with its number given anew. */
static bool device_is_gone(const struct sim_gpu *gpu, const struct sim_hold *hold) {
    if (hold->ci_serial == 0)
        return false;
    const struct sim_gi *gi = &gpu->gis[hold->gi_id % SIM_GI_IDS];
    const struct sim_ci *ci = &gi->cis[hold->ci_id % SIM_CI_IDS];
    return !gi->used || !ci->used || ci->serial != hold->ci_serial;
}

bool hold_is_live(const struct sim_gpu *gpu, struct sim_hold *hold) {
    if (!__atomic_load_n(&hold->used, __ATOMIC_ACQUIRE) || hold->ended_ms || device_is_gone(gpu, hold))
        return false;
    if (process_lives(hold->pid, hold->started))
        return true;
    hold->ended_ms = now_ms();
    return false;
}

bool hold_blocks(const struct sim_gpu *gpu, struct sim_hold *hold) {
    if (hold_is_live(gpu, hold))
        return true;
    return hold->used && hold->ended_ms && !device_is_gone(gpu, hold) && now_ms() < hold->ended_ms + gpu->linger_ms;
}

bool gpu_is_busy(struct sim_gpu *gpu) {
    for (unsigned i = 0; i < SIM_GI_IDS; i++)
        if (gpu->gis[i].used)
            return true;
    for (unsigned i = 0; i < SIM_HOLDS; i++)
        if (hold_blocks(gpu, &gpu->holds[i]))
            return true;
    return false;
}
