/* The fault table: which call a fault hits, how often, and what it does to it.
 *
 * There are two tables of one form, one in the node's file for all of its processes and one of this process alone
 * (faultspec.c). Faults are tried in the order of their slots, one a call. Promise: a fault strikes as often as it
 * says, however many processes call at once, and a call that blocks goes on soon after its fault is cleared. */
#define _GNU_SOURCE
#include "internal.h"

#define BLOCK_STEP_MS 20 /* how often a blocked call looks whether its fault was cleared */

static bool hits(const struct sim_fault *fault, unsigned function, unsigned gpu, bool after) {
    return __atomic_load_n(&fault->used, __ATOMIC_ACQUIRE) && fault->functions[function / 64] >> function % 64 & 1u &&
           (fault->gpu == gpu || fault->gpu == SIM_ANY) && fault->after == after;
}

/* Takes one of the fault's times; two processes never take the same one. */
static bool take(struct sim_fault *fault) {
    int32_t left = __atomic_load_n(&fault->times, __ATOMIC_ACQUIRE);
    while (left > 0)
        if (__atomic_compare_exchange_n(&fault->times, &left, left - 1, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            return true;
    return left < 0;
}

static void block(const struct sim_fault *fault, unsigned milliseconds, uint64_t serial) {
    for (unsigned slept = 0; slept < milliseconds; slept += BLOCK_STEP_MS) {
        if (!__atomic_load_n(&fault->used, __ATOMIC_ACQUIRE) || fault->serial != serial)
            return;
        unsigned left = milliseconds - slept;
        sleep_ms(left < BLOCK_STEP_MS ? left : BLOCK_STEP_MS);
    }
}

nvmlReturn_t faults_obey(struct sim_fault table[SIM_FAULTS], enum sim_function function, unsigned gpu, bool after) {
    for (unsigned i = 0; i < SIM_FAULTS; i++) {
        struct sim_fault *fault = &table[i];
        if (!hits(fault, function, gpu, after) || !take(fault))
            continue;
        nvmlReturn_t code = (nvmlReturn_t)fault->code;
        block(fault, fault->block_ms, fault->serial);
        return code;
    }
    return NVML_SUCCESS;
}
