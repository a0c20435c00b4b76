#include "api/internal.h"
#include "base/process.h"

#include <stdlib.h>

ECSHIST_API const char *ecshist_version(void)
{
    return ECSHIST_VERSION_STRING;
}

int api_check_process(const struct ehi_store *store, struct ecshist_error *error)
{
    if (store->pid != ehi_process_id())
        return ehi_fail(error, ECSHIST_MISUSE,
                        "a store's handle is not usable in a forked child: open it anew there");
    return ECSHIST_OK;
}

static int check_options(const struct ecshist_open_options *options, struct ecshist_error *error)
{
    uint32_t segment = options->segment_bytes;
    unsigned known = ECSHIST_OPEN_READ_ONLY | ECSHIST_OPEN_CREATE | ECSHIST_OPEN_EXCLUSIVE |
                     ECSHIST_OPEN_REBUILD;
    if ((options->flags & ~known) != 0)
        return ehi_fail(error, ECSHIST_INVALID, "unknown flags of ecshist_open: 0x%x",
                        options->flags & ~known);
    if (segment != 0 &&
        (segment < ECSHIST_MIN_SEGMENT_BYTES || segment > ECSHIST_MAX_SEGMENT_BYTES))
        return ehi_fail(error, ECSHIST_LIMIT, "segment_bytes must be %u to %u",
                        ECSHIST_MIN_SEGMENT_BYTES, ECSHIST_MAX_SEGMENT_BYTES);
    if (options->map_bytes != 0 && options->map_bytes < ECSHIST_MIN_MAP_BYTES)
        return ehi_fail(error, ECSHIST_LIMIT, "map_bytes must be at least %u",
                        ECSHIST_MIN_MAP_BYTES);
    return ECSHIST_OK;
}

ECSHIST_API int ecshist_open(const char *path, const struct ecshist_open_options *options,
                             ecshist_store **out, struct ecshist_error *error)
{
    if (path == NULL || out == NULL)
        return ehi_fail(error, ECSHIST_MISUSE, "a pointer is NULL");
    struct ecshist_open_options all = ECSHIST_OPEN_OPTIONS_INIT;
    if (options != NULL)
        memcpy(&all, options, options->size < sizeof(all) ? options->size : sizeof(all));
    int rc = check_options(&all, error);
    if (rc != ECSHIST_OK)
        return rc;
    if (all.segment_bytes == 0)
        all.segment_bytes = ECSHIST_DEFAULT_SEGMENT_BYTES;
    struct ehi_store *store;
    rc = ehi_store_open(path, &all, &store, error);
    if (rc == ECSHIST_OK)
        *out = (ecshist_store *)store;
    return rc;
}

ECSHIST_API void ecshist_close(ecshist_store *store)
{
    if (store != NULL)
        ehi_store_close(api_store(store));
}

/* -- appending --------------------------------------------------------------------------------- */

static int check_append(const struct ehi_store *store, const ecshist_event *const *events,
                        size_t count, unsigned flags, struct ecshist_error *error)
{
    if (store == NULL || events == NULL)
        return ehi_fail(error, ECSHIST_MISUSE, "a pointer is NULL");
    int rc = api_check_process(store, error);
    if (rc != ECSHIST_OK)
        return rc;
    if ((flags & ~(unsigned)(ECSHIST_APPEND_LENIENT | ECSHIST_APPEND_EACH)) != 0)
        return ehi_fail(error, ECSHIST_INVALID, "unknown flags of an append: 0x%x", flags);
    if (count == 0 || count > ECSHIST_MAX_BATCH_EVENTS)
        return ehi_fail(error, ECSHIST_LIMIT, "an append takes 1 to %u events, not %zu",
                        ECSHIST_MAX_BATCH_EVENTS, count);
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        if (events[i] == NULL)
            return ehi_fail(error, ECSHIST_MISUSE, "event %zu is NULL", i);
        bytes += events[i]->record.length;
    }
    if (bytes > ECSHIST_MAX_BATCH_BYTES)
        return ehi_fail(error, ECSHIST_LIMIT, "an append takes at most %u bytes of events, not %zu",
                        ECSHIST_MAX_BATCH_BYTES, bytes);
    return ECSHIST_OK;
}

typedef int append_fn(struct ehi_store *store, struct ehi_request *request);

static int append(append_fn *how, struct ehi_store *store, const ecshist_event *const *events,
                  size_t count, unsigned flags, struct ecshist_append_result *results,
                  struct ecshist_error *error)
{
    struct ecshist_error own = ECSHIST_ERROR_INIT;
    struct ehi_slice few[16];
    struct ehi_slice *records = count <= 16 ? few : malloc(count * sizeof(*records));
    if (records == NULL)
        return ehi_fail_memory(error);
    for (size_t i = 0; i < count; i++)
        records[i] = events[i]->record;
    struct ehi_request request = {.records = records,
                                  .count = count,
                                  .flags = flags,
                                  .results = results,
                                  .error = error != NULL ? error : &own};
    int rc = how(store, &request);
    if (records != few)
        free(records);
    return rc;
}

static unsigned append_flags(const struct ecshist_append_options *options)
{
    return options == NULL ? 0 : options->flags;
}

ECSHIST_API int ecshist_append(ecshist_store *store, const ecshist_event *const *events,
                               size_t count, const struct ecshist_append_options *options,
                               struct ecshist_append_result *results, struct ecshist_error *error)
{
    int rc = check_append(api_store(store), events, count, append_flags(options), error);
    if (rc == ECSHIST_OK && api_store(store)->read_only)
        rc = ehi_fail(error, ECSHIST_READ_ONLY, "the store was opened read-only");
    if (rc != ECSHIST_OK)
        return rc;
    return append(ehi_store_append, api_store(store), events, count, append_flags(options), results,
                  error);
}

ECSHIST_API int ecshist_append_dry_run(ecshist_store *store, const ecshist_event *const *events,
                                       size_t count, const struct ecshist_append_options *options,
                                       struct ecshist_append_result *results,
                                       struct ecshist_error *error)
{
    int rc = check_append(api_store(store), events, count, append_flags(options), error);
    if (rc != ECSHIST_OK)
        return rc;
    return append(ehi_store_dry_run, api_store(store), events, count, append_flags(options),
                  results, error);
}

ECSHIST_API int ecshist_append_json(ecshist_store *store, const char *json, size_t length,
                                    const struct ecshist_append_options *options,
                                    struct ecshist_append_result *result,
                                    struct ecshist_error *error)
{
    ecshist_event *event;
    int rc = ecshist_event_from_json(json, length, &event, error);
    if (rc != ECSHIST_OK)
        return rc;
    const ecshist_event *events[1] = {event};
    rc = ecshist_append(store, events, 1, options, result, error);
    ecshist_event_free(event);
    return rc;
}

/* -- upkeep ------------------------------------------------------------------------------------ */

ECSHIST_API int ecshist_rebuild_index(ecshist_store *store, ecshist_progress_fn progress,
                                      void *context, struct ecshist_error *error)
{
    if (store == NULL)
        return ehi_fail(error, ECSHIST_MISUSE, "a pointer is NULL");
    int rc = api_check_process(api_store(store), error);
    return rc == ECSHIST_OK ? ehi_store_rebuild(api_store(store), progress, context, error) : rc;
}

static void copy_head(const struct ehi_db_head *head, struct ecshist_stat *stat)
{
    stat->last_seq = head->next_seq - 1;
    stat->event_count = head->event_count;
    stat->ignored_count = head->ignored_count;
    stat->revision_count = head->revision_count;
    stat->service_count = head->service_count;
    for (int i = 0; i < 16; i++) {
        stat->deployments_by_status[i] = head->by_status[i];
        stat->deployment_count += head->by_status[i];
    }
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++) {
        stat->store_id[2 * i] = digits[head->store_id[i] >> 4];
        stat->store_id[2 * i + 1] = digits[head->store_id[i] & 15];
    }
}

static int read_stat(struct ehi_store *store, struct ehi_db *db, const struct ehi_db_head *head,
                     struct ecshist_stat *stat, struct ecshist_error *error)
{
    int rc =
        ehi_db_sizes(db, &stat->index_bytes, &stat->index_map_bytes, &stat->reader_count, error);
    if (rc != ECSHIST_OK)
        return rc;
    copy_head(head, stat);
    struct ehi_position tail = ehi_head_position(head);
    rc = ehi_log_sizes(store->log, &tail, &stat->segment_count, &stat->log_bytes,
                       &stat->log_used_bytes, error);
    bool any;
    if (rc == ECSHIST_OK)
        rc = ehi_log_times(store->log, &tail, &any, &stat->oldest_time_us, &stat->newest_time_us,
                           error);
    return rc;
}

ECSHIST_API int ecshist_stat(ecshist_store *store, struct ecshist_stat *stat,
                             struct ecshist_error *error)
{
    if (store == NULL || stat == NULL)
        return ehi_fail(error, ECSHIST_MISUSE, "a pointer is NULL");
    int rc = api_check_process(api_store(store), error);
    if (rc != ECSHIST_OK)
        return rc;
    struct ecshist_stat all = ECSHIST_STAT_INIT;
    struct ehi_db *db;
    struct ehi_db_txn *txn;
    struct ehi_db_head head;
    rc = ehi_store_begin_read(api_store(store), &db, &txn, &head, error);
    if (rc != ECSHIST_OK)
        return rc;
    /* Ended before the readers are counted: this is none of them. */
    ehi_db_abort(txn);
    ehi_log_enter(api_store(store)->log);
    rc = read_stat(api_store(store), db, &head, &all, error);
    ehi_log_leave(api_store(store)->log);
    ehi_db_release(db);
    if (rc == ECSHIST_OK) {
        all.size = stat->size;
        memcpy(stat, &all, all.size < sizeof(all) ? all.size : sizeof(all));
    }
    return rc;
}
