/* What all of bench_compare uses: the clock, random numbers, directories, an end with a message. */
#ifndef BENCH_UTIL_H
#define BENCH_UTIL_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Says why and ends the program; the temporary directory is removed. */
void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
/* The pointer, or the end of the program where it is NULL. */
void *must(void *pointer);

uint64_t now_ns(void);
uint64_t random_u64(uint64_t *state);
/* Sorts and gives the value below which `share` (0 to 1) of them lie. */
uint32_t percentile(uint32_t *values, size_t count, double share);
double median(const double *values, size_t count);

/* The directory that everything is made in; removed at the end. NULL: a new one in /var/tmp. */
void work_begin(const char *parent);
void work_end(void);
const char *work_dir(void);
/* A path in it, in a buffer of the caller's. */
char *work_path(char out[4096], const char *name);
void remove_tree(const char *path);
void make_dir(const char *path);

struct tree_size {
    uint64_t apparent, allocated; /* st_size and st_blocks, summed */
};
struct tree_size tree_size(const char *path);

/* Lets what one engine left dirty not be written while another is timed. */
void settle(void);
/* RssAnon of this process, in KiB. */
uint64_t rss_anon(void);

#endif
