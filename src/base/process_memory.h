/*
 * How much memory this process holds and the machine has.
 */
#ifndef S3R_BASE_PROCESS_MEMORY_H
#define S3R_BASE_PROCESS_MEMORY_H

#include "base/compiler.h"

/* The most that was resident at once; 0 when the system does not tell. */
size_t s3r_process_peak_bytes(void);

/* What is resident now; 0 when the system does not tell. */
size_t s3r_process_resident_bytes(void);

/* What the process could still take without swapping: the machine's available memory, or
 * what its control groups or the limit of its address space leaves, whichever is least;
 * SIZE_MAX when nothing tells. */
size_t s3r_machine_available_bytes(void);

/* What control groups leave: those of a list as /proc/self/cgroup is one, and all around
 * them, below root as /sys/fs/cgroup is one. */
size_t s3r_control_groups_left_bytes(const char *root, const char *list);

#endif
