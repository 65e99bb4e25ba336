/* SPDX-License-Identifier: Apache-2.0 */
/* What the benchmark programs share: clocks, medians, placement, and the lines that Benchmarks/run reads. */
#ifndef MEASURE_H
#define MEASURE_H

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static inline void die(const char *what)
{
	fprintf(stderr, "benchmark: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Nanoseconds of CLOCK_MONOTONIC. */
static inline double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static inline int ascending(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

/* The value below which `part` of all lie; sorts them. */
static inline double quantile(double *values, int count, double part)
{
	int index = (int)(part * (count - 1) + 0.5);

	qsort(values, (size_t)count, sizeof(*values), ascending);
	return values[index];
}

static inline double median(double *values, int count)
{
	return quantile(values, count, 0.5);
}

/* One figure: `relation` is <= or >=, or - where there is no bar. */
static inline void figure(const char *key, double value, const char *unit, const char *relation, double bar)
{
	printf("figure\t%s\t%.4g\t%s\t%s\t%g\n", key, value, unit, relation, bar);
	fflush(stdout);
}

/* The number of the `index`-th processor that we may use, or the last one. */
static inline int processor(int index)
{
	static cpu_set_t allowed;
	static int known;
	int found = 0;

	if (!known && sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		die("sched_getaffinity");
	known = 1;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &allowed))
			continue;
		found = cpu;
		if (index-- == 0)
			break;
	}
	return found;
}

/* Binds every thread of a process to one processor. */
static inline void place(pid_t pid, int cpu)
{
	char path[64];
	DIR *tasks;
	struct dirent *task;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	if (!tasks)
		die(path);
	while ((task = readdir(tasks))) {
		if (task->d_name[0] != '.' && sched_setaffinity(atoi(task->d_name), sizeof(set), &set) < 0)
			die("sched_setaffinity");
	}
	closedir(tasks);
}

#endif
