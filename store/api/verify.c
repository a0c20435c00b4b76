#include "upkeep/verify.h"
#include "api/internal.h"

ECSHIST_API int ecshist_verify(const char *path, const struct ecshist_verify_options *options,
                               ecshist_finding_fn on_finding, void *context,
                               struct ecshist_verify_result *result, struct ecshist_error *error)
{
    if (path == NULL)
        return ehi_fail(error, ECSHIST_MISUSE, "a pointer is NULL");
    struct ecshist_verify_options all = ECSHIST_VERIFY_OPTIONS_INIT;
    struct ecshist_verify_result found = ECSHIST_VERIFY_RESULT_INIT;
    if (options != NULL)
        memcpy(&all, options, options->size < sizeof(all) ? options->size : sizeof(all));
    if ((all.flags & ~(unsigned)ECSHIST_VERIFY_QUICK) != 0)
        return ehi_fail(error, ECSHIST_INVALID, "unknown flags of ecshist_verify: 0x%x", all.flags);
    int rc = ehi_verify(path, &all, on_finding, context, &found, error);
    if (rc == ECSHIST_OK && result != NULL) {
        found.size = result->size;
        memcpy(result, &found, found.size < sizeof(found) ? found.size : sizeof(found));
    }
    return rc;
}
