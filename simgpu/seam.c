/* What every NVML call passes before it does anything: is the library initialised, count the call, obey the faults.
 *
 * Why one function: a fault that a test asks for can then hit any call of any process of the node, also one that is
 * written later. Promise: with an empty fault table it only counts. A fault may block, return a code, or block and then
 * return it; it hits before the call has any effect. Not here: faults that strike in the middle of an effect. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>

#include "internal.h"

#define BLOCK_STEP_MS 20 /* how often a blocked call looks whether its fault was cleared */

struct sim_node the_node;
static pthread_mutex_t sessions_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned sessions; /* nvmlInit calls less nvmlShutdown calls */

#define SIM_NAME(name) #name,
static const char *const names[FUNCTION_COUNT] = {SIM_EACH_FUNCTION(SIM_NAME)};
_Static_assert(FUNCTION_COUNT <= SIM_FUNCTIONS, "state.h has too few counters");

EXPORT const char *simgpu_function_name(unsigned number) {
    return number < FUNCTION_COUNT ? names[number] : NULL;
}

static bool hits(const struct sim_fault *fault, unsigned function, unsigned gpu) {
    return __atomic_load_n(&fault->used, __ATOMIC_ACQUIRE) &&
           (fault->function == function || fault->function == SIM_ANY) && (fault->gpu == gpu || fault->gpu == SIM_ANY);
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

static nvmlReturn_t obey_faults(unsigned function, unsigned gpu) {
    for (unsigned i = 0; i < SIM_FAULTS; i++) {
        struct sim_fault *fault = &the_node.state->faults[i];
        if (!hits(fault, function, gpu) || !take(fault))
            continue;
        nvmlReturn_t code = (nvmlReturn_t)fault->code;
        block(fault, fault->block_ms, fault->serial);
        return code;
    }
    return NVML_SUCCESS;
}

static nvmlReturn_t count_and_obey(unsigned function, unsigned gpu) {
    __atomic_fetch_add(&the_node.state->calls[function], 1, __ATOMIC_RELAXED);
    return obey_faults(function, gpu);
}

nvmlReturn_t enter(enum sim_function function, unsigned gpu) {
    if (__atomic_load_n(&sessions, __ATOMIC_ACQUIRE) == 0)
        return NVML_ERROR_UNINITIALIZED;
    return count_and_obey(function, gpu);
}

static nvmlReturn_t initialise(enum sim_function function) {
    pthread_mutex_lock(&sessions_lock);
    nvmlReturn_t result = sessions ? NVML_SUCCESS : node_open(&the_node, getenv("SIMGPU_STATE"));
    pthread_mutex_unlock(&sessions_lock);
    if (result == NVML_SUCCESS)
        result = count_and_obey(function, SIM_ANY); /* outside the lock: it may block */
    if (result == NVML_SUCCESS)
        __atomic_fetch_add(&sessions, 1, __ATOMIC_RELEASE);
    return result;
}

EXPORT nvmlReturn_t nvmlInit(void) {
    return initialise(FUNCTION_nvmlInit);
}

EXPORT nvmlReturn_t nvmlInit_v2(void) {
    return initialise(FUNCTION_nvmlInit_v2);
}

EXPORT nvmlReturn_t nvmlInitWithFlags(unsigned flags) {
    (void)flags; /* "no GPUs is fine" and "attach nothing": true here anyway */
    return initialise(FUNCTION_nvmlInitWithFlags);
}

EXPORT nvmlReturn_t nvmlShutdown(void) {
    nvmlReturn_t result = enter(FUNCTION_nvmlShutdown, SIM_ANY);
    if (result != NVML_SUCCESS)
        return result;
    pthread_mutex_lock(&sessions_lock);
    if (sessions > 0)
        __atomic_fetch_sub(&sessions, 1, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&sessions_lock);
    return NVML_SUCCESS;
}
