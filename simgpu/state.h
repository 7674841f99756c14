/* The state of one simulated node, as it lies in the file that all of its processes map.
 *
 * Why: MIG instances belong to the hardware and outlive every process, so they live in a file and not in a process.
 * Promise: fixed-width fields, no pointers, no padding that a compiler chooses; `layout.py` describes the same bytes
 * and a test compares the two field by field. All tables (profiles, placements, ids, UUIDs) are data that Python wrote
 * when the node was made: no C file holds a number of any GPU model.
 *
 * Dying at any instruction leaves a whole state. Each change to instances is one aligned store that publishes it:
 *   create   the fields of a free slot are filled first, then `used` becomes 1 (release store);
 *   destroy  `used` becomes 0.
 * Before the store nothing has happened, after it everything has; slots are filled only under the GPU's lock, and the
 * kernel drops that lock (flock) when its holder dies. `serial` is raised before a slot is filled, so a writer that
 * died half-way at worst skips a number.
 *
 * Bounds: 16 GPUs a node; GI ids are heap indices below 16; CI ids are below 8. */
#ifndef SIMGPU_STATE_H
#define SIMGPU_STATE_H

#include <stdint.h>

#define SIM_MAGIC 0x31305550474d4953ULL /* "SIMGPU01", read as a little-endian number */
#define SIM_LAYOUT 2                    /* raised whenever a field moves */
#define SIM_GPUS 16
#define SIM_PROFILES 16
#define SIM_PLACEMENTS 8
#define SIM_GI_IDS 16
#define SIM_CI_IDS 8
#define SIM_CI_PROFILES 9
#define SIM_HOLDS 64
#define SIM_FAULTS 32
#define SIM_FUNCTIONS 128
#define SIM_FUNCTION_WORDS (SIM_FUNCTIONS / 64)

#define SIM_ANY 0xffffffffu /* in a fault: every GPU; in a hold: no instance, the whole GPU */

struct sim_placement {
    uint32_t start; /* memory slices */
    uint32_t rank;  /* the driver's own order when no placement is asked for, 0 first */
    uint32_t gi_id; /* the id that an instance here gets */
    uint32_t reserved;
};

struct sim_profile {
    char name[32];      /* as the driver prints it, "MIG 1g.10gb+me" */
    uint32_t id;        /* what create and list calls take */
    uint32_t gi_enum;   /* what GetGpuInstanceProfileInfo takes */
    uint32_t slices;    /* compute slices */
    uint32_t size;      /* memory slices */
    uint32_t instances; /* at most so many at once */
    uint32_t media;     /* 1: takes the GPU's one extra media engine set (+me, +me.all) */
    uint32_t graphics;  /* 1: +gfx */
    uint32_t sm;
    uint32_t copy, decoder, encoder, jpeg, ofa;
    uint32_t memory_mib;
    uint32_t ci_mask; /* bit e: compute instances of CI enum e fit */
    uint32_t placement_count;
    uint32_t create_gi_ms, create_ci_ms, destroy_gi_ms, destroy_ci_ms; /* 0: no latencies asked for */
    struct sim_placement placements[SIM_PLACEMENTS];                   /* by start */
};

struct sim_ci { /* its id is its index */
    uint32_t used;
    uint32_t ci_enum;
    uint32_t start; /* compute slices within the GI */
    uint32_t size;
    uint64_t serial;
};

struct sim_gi { /* its id is its index */
    uint32_t used;
    uint32_t profile; /* index into profiles */
    uint32_t start;
    uint32_t reserved;
    uint64_t serial;
    struct sim_ci cis[SIM_CI_IDS];
};

struct sim_hold { /* a process that uses a MIG device, or a whole GPU */
    uint32_t used;
    uint32_t pid;
    uint64_t started;   /* field 22 of /proc/PID/stat: tells a reused pid apart */
    uint64_t ci_serial; /* 0: the whole GPU */
    uint32_t gi_id;
    uint32_t ci_id;
    uint64_t memory_bytes;
    uint64_t ended_ms; /* when it was first seen to be over, CLOCK_MONOTONIC; 0: not yet. It lingers from then on */
};

struct sim_gpu {
    char uuid[48];
    char name[96];
    char model[48]; /* the key in models.json; for Python */
    char serial_number[32];
    uint32_t pci_domain, pci_bus, pci_device, pci_device_id;
    uint32_t architecture; /* NVML_DEVICE_ARCH_* */
    uint32_t cc_major, cc_minor;
    uint32_t memory_mib;
    uint32_t mig_capable;
    uint32_t mig_current, mig_pending;
    uint32_t mig_needs_reset; /* 1: a new mode waits for a reset (Ampere) */
    uint32_t compute_slices;
    uint32_t grid_width; /* memory slices */
    uint32_t profile_count;
    uint32_t generation; /* how often the GPU in this place was swapped for another */
    uint32_t lost, reset_required; /* sticky until a reset or reboot (trouble.c) */
    uint32_t linger_ms;            /* IN_USE for so long after a process is over */
    uint32_t reserved;
    uint64_t serial; /* last number given to an instance; never reused, so an old handle never fits a new instance */
    struct sim_profile profiles[SIM_PROFILES];
    uint8_t mig_uuids[SIM_GI_IDS][SIM_CI_IDS][16];
    struct sim_gi gis[SIM_GI_IDS];
    struct sim_hold holds[SIM_HOLDS];
};

struct sim_fault {
    uint32_t used;
    uint32_t gpu;  /* index, or SIM_ANY */
    uint32_t code; /* nvmlReturn_t to return; 0: only block */
    int32_t times; /* calls still to hit; negative: until cleared */
    uint32_t block_ms;
    uint32_t after;                         /* 0: strikes before any effect; 1: when the work is done */
    uint64_t functions[SIM_FUNCTION_WORDS]; /* bit n: the n-th function of functions.h */
    uint64_t serial; /* tells a new fault in the same slot from the one that a blocked call sleeps on */
};

struct sim_state {
    uint64_t magic;
    uint32_t layout;
    uint32_t gpu_count;
    char driver_version[80];
    char nvml_version[80];
    uint32_t cuda_version;
    uint32_t boot_count;
    uint32_t ci_slices[SIM_CI_PROFILES]; /* compute slices of each CI enum; 0: the driver never offers it */
    uint32_t latencies;                  /* 1: changes take as long as on hardware, also after a swap or upgrade */
    uint32_t mismatch;                   /* 1: the library does not fit the loaded driver (trouble.c) */
    uint32_t unloaded;                   /* 1: no driver is loaded */
    uint32_t driver_epoch;               /* raised at each load: a session of an earlier load is dead */
    uint32_t reserved;
    uint64_t fault_serial;
    uint64_t calls[SIM_FUNCTIONS]; /* entries into each function since reset_calls() */
    struct sim_fault faults[SIM_FAULTS];
    struct sim_gpu gpus[SIM_GPUS];
};

#endif
