#include "upkeep/compact.h"
#include "api/internal.h"

static int check(const struct ehi_store *store, const struct ecshist_compact_options *options,
                 struct ecshist_error *error)
{
    const unsigned known = ECSHIST_COMPACT_DRY_RUN | ECSHIST_COMPACT_FORGET_LAST;
    if ((options->flags & ~known) != 0)
        return ehi_fail(error, ECSHIST_INVALID, "unknown flags of a compaction: 0x%x",
                        options->flags & ~known);
    if (options->retention_us < 0)
        return ehi_fail(error, ECSHIST_INVALID, "retention_us must not be negative");
    if (options->has_now && (options->now_us < 0 || options->now_us > ECSHIST_MAX_TIME_US))
        return ehi_fail(error, ECSHIST_INVALID, "now_us is not a time from 1970 to 9999");
    if ((options->flags & ECSHIST_COMPACT_DRY_RUN) == 0 && store->read_only)
        return ehi_fail(error, ECSHIST_READ_ONLY, "the store was opened read-only");
    return ECSHIST_OK;
}

ECSHIST_API int ecshist_compact(ecshist_store *store, const struct ecshist_compact_options *options,
                                struct ecshist_compact_result *result, struct ecshist_error *error)
{
    if (store == NULL)
        return ehi_fail(error, ECSHIST_MISUSE, "a pointer is NULL");
    struct ecshist_compact_options all = ECSHIST_COMPACT_OPTIONS_INIT;
    struct ecshist_compact_result out = ECSHIST_COMPACT_RESULT_INIT;
    if (options != NULL)
        memcpy(&all, options, options->size < sizeof(all) ? options->size : sizeof(all));
    int rc = api_check_process(api_store(store), error);
    if (rc == ECSHIST_OK)
        rc = check(api_store(store), &all, error);
    if (rc == ECSHIST_OK)
        rc = ehi_compact(api_store(store), &all, &out, error);
    /* Of one that was stopped, too: what it did is done. */
    if ((rc == ECSHIST_OK || rc == ECSHIST_END) && result != NULL) {
        out.size = result->size;
        memcpy(result, &out, out.size < sizeof(out) ? out.size : sizeof(out));
    }
    return rc;
}
