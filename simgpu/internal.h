/* What the C files of the simulator share: the seam that every entry point passes, handles, locks, instance rules.
 *
 * Layers, each knowing only those above it in this list: state (the mapped file, locks), holds, instances (the rules of
 * MIG on one GPU, no NVML handles), trouble and faults, seam and handles, then the entry points by subject (system,
 * lookup, device, processes, mig, gi, ci) and the door for Python (admin). */
#ifndef SIMGPU_INTERNAL_H
#define SIMGPU_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "functions.h"
#include "nvml.h"
#include "state.h"

#define EXPORT __attribute__((visibility("default")))

/* ---- state.c: the mapped file and the locks beside it ---- */
struct sim_node {
    struct sim_state *state;
    char directory[3072]; /* room is left for the lock files' names in PATH_MAX */
    uint64_t device, inode;
};
nvmlReturn_t node_open(struct sim_node *node, const char *directory);
void node_close(struct sim_node *node);

/* SHORT guards the fields of one GPU for microseconds. LONG is taken around changes and held while the hardware would
 * be busy, so that changes of one GPU queue up while those of other GPUs, and all reads, go on. LONG before SHORT. */
enum lock_kind { LOCK_SHORT, LOCK_LONG };
struct gpu_lock {
    int fd;
};
bool gpu_lock(const struct sim_node *node, unsigned gpu, enum lock_kind kind, struct gpu_lock *lock);
void gpu_unlock(struct gpu_lock *lock);
void sleep_ms(unsigned milliseconds);

/* ---- instances.c: the rules of one GPU; the caller holds its SHORT lock ---- */
const struct sim_profile *profile_by_id(const struct sim_gpu *gpu, unsigned id);
const struct sim_profile *profile_of(const struct sim_gpu *gpu, const struct sim_gi *gi);
/* "MIG 3g.40gb" for all of its GI's compute slices, "MIG 1c.3g.40gb" for a part of them. */
void ci_name(const struct sim_state *state, const struct sim_profile *profile, unsigned ci_enum,
             char out[NVML_NAME_SIZE]);
bool ci_fits_profile(const struct sim_profile *profile, unsigned ci_enum);
unsigned gi_remaining(const struct sim_gpu *gpu, const struct sim_profile *profile);
unsigned ci_remaining(const struct sim_state *state, const struct sim_gpu *gpu, const struct sim_gi *gi, unsigned e);
nvmlReturn_t gi_create(struct sim_gpu *gpu, const struct sim_profile *profile, const nvmlPlacement_t *at, unsigned *id);
nvmlReturn_t gi_destroy(struct sim_gpu *gpu, unsigned gi);
nvmlReturn_t ci_create(const struct sim_state *state, struct sim_gpu *gpu, unsigned gi, unsigned ci_enum,
                       const nvmlPlacement_t *at, unsigned *id);
nvmlReturn_t ci_destroy(struct sim_gpu *gpu, unsigned gi, unsigned ci);
nvmlReturn_t mig_mode_set(struct sim_gpu *gpu, unsigned mode, nvmlReturn_t *activation);

/* ---- holds.c: processes on a GPU; the caller holds its SHORT lock ---- */
bool hold_is_live(const struct sim_gpu *gpu, struct sim_hold *hold);
bool hold_blocks(const struct sim_gpu *gpu, struct sim_hold *hold); /* lives, or lingers a moment longer */
bool gpu_is_busy(struct sim_gpu *gpu);

/* ---- trouble.c: what a sick driver or GPU refuses ---- */
nvmlReturn_t gpu_trouble(enum sim_function function, const struct sim_gpu *gpu);
nvmlReturn_t trouble(const struct sim_state *state, enum sim_function function, unsigned gpu);

/* ---- faults.c, faultspec.c: faults that a test asked for ---- */
nvmlReturn_t faults_obey(struct sim_fault table[SIM_FAULTS], enum sim_function function, unsigned gpu, bool after);
EXPORT int simgpu_read_faults(const char *text, struct sim_fault table[SIM_FAULTS], char *error, unsigned size);

/* ---- seam.c: what every call passes on its way in, and every change on its way out ---- */
extern struct sim_node the_node;
/* Counts the call, then obeys the fault tables: blocks, returns a code, or both; then asks after the driver's health.
 * gpu is SIM_ANY for calls about none. */
nvmlReturn_t enter(enum sim_function function, unsigned gpu);
/* The driver was unloaded, or unloaded and loaded again, since the session began. */
bool session_is_dead(void);
/* Returns the result, unless the work is done and a fault strikes after it. */
nvmlReturn_t finish(enum sim_function function, unsigned gpu, nvmlReturn_t result);
EXPORT const char *simgpu_function_name(unsigned number);
EXPORT int simgpu_has_effect(unsigned number);

/* ---- handles.c: what a handle refers to; a whole GPU, a GI, a CI, or the MIG device that a CI is ---- */
enum handle_kind { HANDLE_GPU = 1, HANDLE_GI, HANDLE_CI, HANDLE_MIG };
struct ref {
    enum handle_kind kind;
    unsigned gpu, gi, ci;
    uint64_t serial; /* of the GI or CI; of a GPU, its generation */
};
void *handle_of(struct ref ref);
bool handle_read(const void *handle, struct ref *ref); /* false: no handle of ours */
unsigned handle_gpu(const void *handle);               /* SIM_ANY when it is no handle */
struct ref ref_device(unsigned gpu);
struct ref ref_gi(unsigned gpu, unsigned gi);
struct ref ref_ci(enum handle_kind kind, unsigned gpu, unsigned gi, unsigned ci);

/* One call's hold on what its handle refers to: resolved and locked by `open_*`, released by `close_ref`. */
struct scope {
    struct ref ref;
    struct sim_gpu *gpu;
    struct gpu_lock busy, lock;
};
/* kinds: a mask of 1u << enum handle_kind. change: also take the LONG lock. On success the scope must be closed. */
nvmlReturn_t open_ref(struct scope *scope, const void *handle, unsigned kinds, bool change);
/* Sleeps the given time as the hardware would, with other changes of this GPU kept waiting, then releases. */
void close_ref(struct scope *scope, unsigned busy_ms);

#define DEVICE_KINDS (1u << HANDLE_GPU | 1u << HANDLE_MIG)

/* ---- helpers of the entry points ---- */
void mig_uuid_text(const struct sim_gpu *gpu, unsigned gi, unsigned ci, char out[48]);
nvmlReturn_t copy_text(char *out, unsigned size, const char *text);

#endif
