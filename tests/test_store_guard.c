/* What others may have put into a store's directory, or may read of it; what a child inherits. */
#include "support/store_dir.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

static char *dir, *path;

static void set_up(void)
{
    dir = store_dir_new();
    path = store_dir_path(dir, "store");
    cr_assert_eq(geteuid(), 0, "tests of other users need root");
    cr_assert_eq(chmod(dir, 0777), 0);
}

static void tear_down(void)
{
    free(path);
    store_dir_remove(dir);
}

TestSuite(store_guard, .init = set_up, .fini = tear_down);

static void append_one(ecshist_store *store, unsigned number)
{
    store_must_append(store,
                      "{\"type\":\"deployment-started\",\"time\":%u," OF_DEPLOYMENT(
                          "d%u") "," TO_REVISION("r1") "}",
                      number, number);
}

static void make_store(void)
{
    ecshist_store *store = store_dir_open(path);
    append_one(store, 1);
    ecshist_close(store);
}

static int open_as_is(const char *at, unsigned flags, struct ecshist_error *error)
{
    struct ecshist_open_options options = ECSHIST_OPEN_OPTIONS_INIT;
    ecshist_store *store = NULL;
    options.flags = flags;
    int rc = ecshist_open(at, &options, &store, error);
    ecshist_close(store);
    return rc;
}

static void expect_refused(unsigned flags, int code, const char *text)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    int rc = open_as_is(path, flags, &error);
    cr_assert_eq(rc, code, "%s: %s", ecshist_code_name(rc), error.message);
    cr_assert(strstr(error.message, text) != NULL, "%s", error.message);
}

static void expect_opens(unsigned flags)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    int rc = open_as_is(path, flags, &error);
    cr_assert_eq(rc, ECSHIST_OK, "%s: %s", ecshist_code_name(rc), error.message);
}

/* Runs it as that user, in a child, which aborts where something is wrong. */
static void as_user(uid_t uid, void (*work)(void))
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        if (setgid(uid) != 0 || setuid(uid) != 0)
            abort();
        work();
        _exit(0);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
}

/* -- modes ------------------------------------------------------------------------------------- */

static unsigned seen;

static int check_entry(const char *name, const struct stat *status, int kind, struct FTW *place)
{
    (void)place;
    mode_t wanted = kind == FTW_D || kind == FTW_DP ? 0700 : 0600;
    seen++;
    if ((status->st_mode & 07777) == wanted)
        return 0;
    fprintf(stderr, "%s is %o\n", name, (unsigned)status->st_mode & 07777);
    return 1;
}

static void expect_private(unsigned entries)
{
    seen = 0;
    cr_assert_eq(nftw(path, check_entry, 8, FTW_PHYS), 0);
    cr_assert_geq(seen, entries);
}

/* All that makes files: creating, sealing, rebuilding, compacting with its index copied. */
static void make_everything(void)
{
    ecshist_store *store = store_dir_open(path);
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ecshist_compact_options options = ECSHIST_COMPACT_OPTIONS_INIT;
    for (unsigned i = 1; i < 600; i++)
        append_one(store, i);
    store_must(ecshist_rebuild_index(store, NULL, NULL, &error), "rebuild", &error);
    store_must(ecshist_compact(store, &options, NULL, &error), "compact", &error);
    append_one(store, 1000);
    ecshist_close(store);
    store = store_dir_open(path);
    append_one(store, 1001);
    ecshist_close(store);
}

static void make_with_umask_0(void)
{
    (void)umask(0);
    make_everything();
}

static void make_with_umask_022(void)
{
    (void)umask(022);
    make_everything();
}

static void make_with_umask_0777(void)
{
    (void)umask(0777);
    make_everything();
}

Test(store_guard, private_whatever_the_umask)
{
    void (*const makers[])(void) = {make_with_umask_0, make_with_umask_022, make_with_umask_0777};
    for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++) {
        as_user(NOBODY, makers[i]);
        expect_private(9);
        store_dir_unlink(path);
    }
}

/* -- descriptors ------------------------------------------------------------------------------- */

static unsigned inherited(void)
{
    unsigned count = 0;
    DIR *all = opendir("/proc/self/fd");
    for (struct dirent *entry = readdir(all); entry != NULL; entry = readdir(all)) {
        char link[64], target[4096];
        snprintf(link, sizeof(link), "/proc/self/fd/%.20s", entry->d_name);
        ssize_t length = readlink(link, target, sizeof(target) - 1);
        if (length <= 0)
            continue;
        target[length] = '\0';
        if (strstr(target, path) == NULL)
            continue;
        seen++;
        if ((fcntl(atoi(entry->d_name), F_GETFD) & FD_CLOEXEC) == 0) {
            fprintf(stderr, "inherited: %s\n", target);
            count++;
        }
    }
    closedir(all);
    return count;
}

Test(store_guard, nothing_is_inherited_by_exec)
{
    ecshist_store *store = store_dir_open(path);
    for (unsigned i = 1; i < 600; i++)
        append_one(store, i);
    seen = 0;
    cr_assert_eq(inherited(), 0);
    cr_assert_geq(seen, 6, "only %u descriptors", seen);
    char *file = store_dir_newest_segment(path);
    int canary = open(file, O_RDONLY); /* without O_CLOEXEC, so that it is seen */
    cr_assert_eq(inherited(), 1);
    close(canary);
    free(file);
    ecshist_close(store);
}

/* -- links ------------------------------------------------------------------------------------- */

Test(store_guard, a_link_that_is_given_is_followed)
{
    char *link = store_dir_path(dir, "link");
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    make_store();
    cr_assert_eq(symlink("store", link), 0);
    cr_assert_eq(open_as_is(link, 0, &error), ECSHIST_OK, "%s", error.message);
    free(link);
}

Test(store_guard, a_link_within_is_refused)
{
    static const char *const names[] = {"log",
                                        "index",
                                        "index/mark",
                                        "index/data.mdb",
                                        "upkeep",
                                        "index/lock.mdb",
                                        "log/00000000000000000001.seg"};
    char *away = store_dir_path(dir, "away");
    make_store();
    char *upkeep = store_dir_path(path, "upkeep");
    store_dir_write(upkeep, 0, "", 0);
    free(upkeep);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char *name = store_dir_path(path, names[i]);
        cr_assert_eq(rename(name, away), 0, "%s", name);
        cr_assert_eq(symlink(away, name), 0);
        expect_refused(0, ECSHIST_FORMAT, names[i]);
        expect_refused(ECSHIST_OPEN_READ_ONLY, ECSHIST_FORMAT, "symbolic link");
        struct stat status;
        cr_assert_eq(lstat(name, &status), 0);
        cr_assert(S_ISLNK(status.st_mode), "%s was replaced", name);
        cr_assert_eq(unlink(name), 0);
        cr_assert_eq(rename(away, name), 0);
        expect_opens(0);
        free(name);
    }
    free(away);
}

/* What is waited for until somebody writes to it. */
Test(store_guard, a_fifo_is_refused_at_once, .timeout = 20)
{
    static const char *const names[] = {"index/data.mdb", "index/lock.mdb",
                                        "log/00000000000000000001.seg"};
    make_store();
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char *name = store_dir_path(path, names[i]), *away = store_dir_path(dir, "away");
        cr_assert_eq(rename(name, away), 0);
        cr_assert_eq(mkfifo(name, 0600), 0);
        struct ecshist_error error = ECSHIST_ERROR_INIT;
        cr_assert_neq(open_as_is(path, 0, &error), ECSHIST_OK, "%s", name);
        cr_assert_eq(unlink(name), 0);
        cr_assert_eq(rename(away, name), 0);
        free(name);
        free(away);
    }
    expect_opens(0);
}

/* -- others ------------------------------------------------------------------------------------ */

static void read_and_write(void)
{
    ecshist_store *store = store_dir_open_with(path, 0);
    append_one(store, 77);
    ecshist_close(store);
}

static void rebuild_and_write(void)
{
    ecshist_store *store = store_dir_open_with(path, 0);
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    append_one(store, 78);
    store_must(ecshist_rebuild_index(store, NULL, NULL, &error), "rebuild", &error);
    store_must(ecshist_compact(store, NULL, NULL, &error), "compact", &error);
    ecshist_close(store);
}

/* Root looks at it, heals its index, backs it up: its owner goes on as before. */
Test(store_guard, root_reads_a_store_of_another_and_does_not_write_to_it)
{
    as_user(NOBODY, make_store);
    expect_refused(0, ECSHIST_IO, "belongs to user 65534");
    expect_opens(ECSHIST_OPEN_READ_ONLY);
    char *index = store_dir_path(path, "index"), *copy = store_dir_path(dir, "copy");
    store_dir_unlink(index);
    ecshist_store *store = store_dir_open_with(path, ECSHIST_OPEN_READ_ONLY);
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    store_must(ecshist_backup(store, copy, NULL, NULL, &error), "backup", &error);
    ecshist_close(store);
    struct stat status;
    cr_assert_eq(stat(index, &status), 0);
    cr_assert_eq(status.st_uid, NOBODY);
    cr_assert_eq(stat(copy, &status), 0);
    cr_assert_eq(status.st_uid, 0);
    as_user(NOBODY, read_and_write);
    as_user(NOBODY, rebuild_and_write);
    expect_private(8);
    free(index);
    free(copy);
}

/* The handle that is open already is for reading only. */
Test(store_guard, root_does_not_get_to_write_by_opening_twice)
{
    as_user(NOBODY, make_store);
    ecshist_store *store = store_dir_open_with(path, ECSHIST_OPEN_READ_ONLY);
    expect_refused(0, ECSHIST_IO, "belongs to user 65534");
    cr_assert_eq(store_append(store, 0, NULL,
                              "{\"type\":\"deployment-started\",\"time\":1," OF_DEPLOYMENT(
                                  "d9") "," TO_REVISION("r1") "}"),
                 ECSHIST_READ_ONLY);
    ecshist_close(store);
}

Test(store_guard, what_everybody_may_write_to_is_not_written_to)
{
    make_store();
    cr_assert_eq(chmod(path, 0777), 0);
    expect_refused(0, ECSHIST_IO, "chmod o-w");
    expect_opens(ECSHIST_OPEN_READ_ONLY);
    cr_assert_eq(chmod(path, 0770), 0); /* as volumes of containers are */
    expect_opens(0);
    cr_assert_eq(chmod(path, 0755), 0);
    expect_opens(0);
}

/* -- who may only read ------------------------------------------------------------------------- */

static int turn[2], turn_back[2];

static void give_turn(const int way[2])
{
    if (write(way[1], "", 1) != 1)
        abort();
}

static void await_turn(const int way[2])
{
    char byte;
    if (read(way[0], &byte, 1) != 1)
        abort();
}

static int look(ecshist_snapshot *snapshot, size_t *count)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    struct ecshist_list_request request = ECSHIST_LIST_REQUEST_INIT;
    ecshist_result *result = NULL;
    request.service = TEST_SERVICE_ARN;
    int rc = ecshist_list_service_deployments(snapshot, &request, &result, &error);
    if (rc != ECSHIST_OK)
        return rc;
    *count = ecshist_result_count(result);
    ecshist_result_free(result);
    return rc;
}

/* A writer does not see it: so it is not believed once a commit came. */
static void look_while_written(void)
{
    struct ecshist_error error = ECSHIST_ERROR_INIT;
    ecshist_snapshot *snapshot;
    size_t count;
    await_turn(turn);
    ecshist_store *store = store_dir_open_with(path, ECSHIST_OPEN_READ_ONLY);
    store_must(ecshist_snapshot_open(store, &snapshot, &error), "snapshot", &error);
    if (look(snapshot, &count) != ECSHIST_OK || count != 1)
        abort();
    give_turn(turn_back);
    await_turn(turn);
    if (look(snapshot, &count) != ECSHIST_BUSY)
        abort();
    ecshist_snapshot_close(snapshot);
    store_must(ecshist_snapshot_open(store, &snapshot, &error), "snapshot", &error);
    if (look(snapshot, &count) != ECSHIST_OK || count != 2)
        abort();
    ecshist_snapshot_close(snapshot);
    ecshist_close(store);
}

/* As any reader has it done. */
static void put_into_index(ecshist_store *store)
{
    struct ecshist_stat stat = ECSHIST_STAT_INIT;
    cr_assert_eq(ecshist_stat(store, &stat, NULL), ECSHIST_OK);
}

Test(store_guard, a_snapshot_that_writers_cannot_see_is_not_believed_after_a_commit)
{
    make_store();
    cr_assert(pipe(turn) == 0 && pipe(turn_back) == 0);
    pid_t child = fork();
    if (child == 0) {
        if (setgid(NOBODY) != 0 || setuid(NOBODY) != 0)
            abort();
        look_while_written();
        _exit(0);
    }
    char *command;
    cr_assert(asprintf(&command, "chmod -R a+rX '%s'", path) > 0);
    cr_assert_eq(system(command), 0);
    free(command);
    ecshist_store *store = store_dir_open(path);
    give_turn(turn);
    await_turn(turn_back);
    append_one(store, 2);
    put_into_index(store);
    give_turn(turn);
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    ecshist_close(store);
}
