/*
 * Runs a fuzz target without libFuzzer: on every file named, and every file in the directories
 * named, in the order of their names. Fails when there are none: a corpus that is not found is not
 * a corpus that passed.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* A target may have it or not. */
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

static size_t input_count;

static void fail(const char *path)
{
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    exit(1);
}

static void run_file(const char *path, size_t size)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        fail(path);
    /* Of the exact size, so that a sanitizer sees the first byte past it. */
    uint8_t *data = malloc(size > 0 ? size : 1);
    if (data == NULL || fread(data, 1, size, file) != size)
        fail(path);
    fclose(file);
    fprintf(stderr, "%s\n", path);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    input_count++;
}

static void run_path(const char *path);

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void run_directory(const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, is_visible, alphasort);
    if (count < 0)
        fail(path);
    for (int i = 0; i < count; i++) {
        char *child;
        if (asprintf(&child, "%s/%s", path, entries[i]->d_name) < 0)
            fail(path);
        run_path(child);
        free(child);
        free(entries[i]);
    }
    free(entries);
}

static void run_path(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0)
        fail(path);
    if (S_ISDIR(status.st_mode))
        run_directory(path);
    else
        run_file(path, (size_t)status.st_size);
}

int main(int argc, char **argv)
{
    if (LLVMFuzzerInitialize != NULL)
        LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 1; i < argc; i++)
        run_path(argv[i]);
    printf("%zu inputs\n", input_count);
    return input_count > 0 ? 0 : 1;
}
