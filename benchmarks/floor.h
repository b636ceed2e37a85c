/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The floor: a system call in a bare loop, in C, with none of our code around it. */
#ifndef NETNS_BENCHMARKS_FLOOR_H
#define NETNS_BENCHMARKS_FLOOR_H

#ifdef __cplusplus
extern "C" {
#endif

/* unshare(CLONE_NEWNET) `count` times. Each new namespace is kept by a descriptor, so that none is being freed while the
   next is made; only the system call is timed. Gives how many were made; errno tells why there are no more. */
int netns_bare_unshare(int count, double* seconds);

#ifdef __cplusplus
}
#endif
#endif
