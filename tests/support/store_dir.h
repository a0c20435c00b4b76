/*
 * A store in a temporary directory, and events for it. Knows the public API only and no test
 * framework, so that programs can use it too. What goes wrong here ends the process.
 */
#ifndef TESTS_SUPPORT_STORE_DIR_H
#define TESTS_SUPPORT_STORE_DIR_H

#include <ecshist/ecshist.h>

/*
 * A new empty directory in $TMPDIR, or /tmp. Yours: store_dir_remove, which takes all that is in it
 * along.
 */
char *store_dir_new(void);
/* The same within a directory. */
char *store_dir_new_in(const char *where);
void store_dir_remove(char *dir);
/* "DIR/NAME". Yours: free. */
char *store_dir_path(const char *dir, const char *name);
/* Removes a file, or a directory with all that is in it. Nothing there is fine. */
void store_dir_unlink(const char *path);
/* Copies a file, or a directory with all that is in it. A file that is there is written over. */
void store_dir_copy(const char *from, const char *to);
/* The file name of the newest segment in LOGDIR, as a path. Yours: free. */
char *store_dir_newest_segment(const char *store_path);
/* The oldest one. */
char *store_dir_oldest_segment(const char *store_path);

/* Bytes of a file. Yours: free. */
unsigned char *store_dir_read(const char *path, size_t *length);
/* Writes over the bytes at an offset; the file may grow. */
void store_dir_write(const char *path, size_t offset, const void *data, size_t length);

/* Size of the segments that it makes: small. */
extern unsigned store_dir_segment_bytes;
/* Opens, creating where there is none, with such segments and a small map. */
ecshist_store *store_dir_open(const char *path);
ecshist_store *store_dir_open_with(const char *path, unsigned flags);

#define TEST_ARN "arn:aws:ecs:eu-west-1:123456789012:"
#define TEST_SERVICE_ARN TEST_ARN "service/shop/web"
#define TEST_DEPLOYMENT_ARN(id) TEST_ARN "service-deployment/shop/web/" id
#define TEST_REVISION_ARN(id) TEST_ARN "service-revision/shop/web/" id
#define TEST_TASK_ARN(id) TEST_ARN "task/shop/" id
/* Members of an event. */
#define OF_DEPLOYMENT(id) "\"serviceDeploymentArn\":\"" TEST_DEPLOYMENT_ARN(id) "\""
#define TO_REVISION(id) "\"targetServiceRevisionArn\":\"" TEST_REVISION_ARN(id) "\""
#define OF_TASK(id) "\"taskArn\":\"" TEST_TASK_ARN(id) "\""

/* An event from printf's arguments. Yours: ecshist_event_free. */
ecshist_event *store_event(const char *format, ...) ECSHIST_PRINTF(1, 2);
/* Appends one; the code of the append, result (may be NULL) filled. */
int store_append(ecshist_store *store, unsigned flags, struct ecshist_append_result *result,
                 const char *format, ...) ECSHIST_PRINTF(4, 5);
/* Appends one that must be taken (appended, not a duplicate); its seq. */
uint64_t store_must_append(ecshist_store *store, const char *format, ...) ECSHIST_PRINTF(2, 3);

/* Ends the process with a message where rc is not OK. */
void store_must(int rc, const char *what, const struct ecshist_error *error);

#endif
