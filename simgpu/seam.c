/* What every NVML call passes: is the library initialised, count the call, obey the faults, ask after the driver.
 *
 * Why one place: what a test asks for can then hit any call of any process of the node, also one that is written later.
 * Promise: with an empty fault table and a sound driver it only counts. `enter` lets a fault strike before the call has
 * any effect; `finish`, which every call that changes something passes on its way out, lets it strike when the work is
 * done, as a time-out does on hardware. Not here: faults in the middle of an effect, since there is no such moment. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "internal.h"

struct sim_node the_node;
static pthread_mutex_t sessions_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned sessions;                       /* nvmlInit calls less nvmlShutdown calls */
static uint32_t session_epoch;                  /* the load of the driver that the first of them found */
static struct sim_fault own_faults[SIM_FAULTS]; /* of this process alone, out of its environment */
static bool own_faults_are_wrong;
static pthread_once_t own_faults_once = PTHREAD_ONCE_INIT;

#define SIM_NAME(name) #name,
static const char *const names[FUNCTION_COUNT] = {SIM_EACH_FUNCTION(SIM_NAME)};
_Static_assert(FUNCTION_COUNT <= SIM_FUNCTIONS, "state.h has too few counters");

EXPORT const char *simgpu_function_name(unsigned number) {
    return number < FUNCTION_COUNT ? names[number] : NULL;
}

/* The calls that pass `finish`. */
EXPORT int simgpu_has_effect(unsigned number) {
    switch (number) {
    case FUNCTION_nvmlDeviceSetMigMode:
    case FUNCTION_nvmlDeviceCreateGpuInstance:
    case FUNCTION_nvmlDeviceCreateGpuInstanceWithPlacement:
    case FUNCTION_nvmlGpuInstanceDestroy:
    case FUNCTION_nvmlGpuInstanceCreateComputeInstance:
    case FUNCTION_nvmlGpuInstanceCreateComputeInstanceWithPlacement:
    case FUNCTION_nvmlComputeInstanceDestroy:
        return 1;
    default:
        return 0;
    }
}

static nvmlReturn_t obey(enum sim_function function, unsigned gpu, bool after) {
    nvmlReturn_t result = faults_obey(own_faults, function, gpu, after);
    return result ? result : faults_obey(the_node.state->faults, function, gpu, after);
}

bool session_is_dead(void) {
    return the_node.state->unloaded || session_epoch != the_node.state->driver_epoch;
}

static nvmlReturn_t pass(enum sim_function function, unsigned gpu) {
    __atomic_fetch_add(&the_node.state->calls[function], 1, __ATOMIC_RELAXED);
    nvmlReturn_t result = obey(function, gpu, false);
    if (result != NVML_SUCCESS || function == FUNCTION_nvmlShutdown) /* the way out of a dead session is always open */
        return result;
    return session_is_dead() ? NVML_ERROR_DRIVER_NOT_LOADED : trouble(the_node.state, function, gpu);
}

nvmlReturn_t enter(enum sim_function function, unsigned gpu) {
    if (__atomic_load_n(&sessions, __ATOMIC_ACQUIRE) == 0)
        return NVML_ERROR_UNINITIALIZED;
    return pass(function, gpu);
}

nvmlReturn_t finish(enum sim_function function, unsigned gpu, nvmlReturn_t result) {
    return result == NVML_SUCCESS ? obey(function, gpu, true) : result;
}

static void read_own_faults(void) {
    const char *text = getenv("SIMGPU_FAULTS");
    char error[256] = "";
    own_faults_are_wrong = text && simgpu_read_faults(text, own_faults, error, sizeof error) < 0;
    if (own_faults_are_wrong)
        fprintf(stderr, "simgpu: SIMGPU_FAULTS: %s\n", error);
    for (unsigned i = 0; i < SIM_FAULTS; i++)
        own_faults[i].used = !own_faults_are_wrong && (own_faults[i].code || own_faults[i].block_ms);
}

static nvmlReturn_t open_session(void) {
    pthread_once(&own_faults_once, read_own_faults);
    if (own_faults_are_wrong)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (sessions)
        return NVML_SUCCESS;
    nvmlReturn_t result = node_open(&the_node, getenv("SIMGPU_STATE"));
    if (result == NVML_SUCCESS)
        session_epoch = the_node.state->driver_epoch;
    return result;
}

static nvmlReturn_t initialise(enum sim_function function) {
    pthread_mutex_lock(&sessions_lock);
    nvmlReturn_t result = open_session();
    pthread_mutex_unlock(&sessions_lock);
    if (result == NVML_SUCCESS)
        result = pass(function, SIM_ANY); /* outside the lock: it may block */
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
