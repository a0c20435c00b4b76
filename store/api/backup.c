#include "upkeep/backup.h"
#include "api/internal.h"

ECSHIST_API int ecshist_backup(ecshist_store *store, const char *to,
                               const struct ecshist_backup_options *options,
                               struct ecshist_backup_result *result, struct ecshist_error *error)
{
    if (store == NULL || to == NULL)
        return ehi_fail(error, ECSHIST_MISUSE, "a pointer is NULL");
    struct ecshist_backup_options all = ECSHIST_BACKUP_OPTIONS_INIT;
    struct ecshist_backup_result out = ECSHIST_BACKUP_RESULT_INIT;
    if (options != NULL)
        memcpy(&all, options, options->size < sizeof(all) ? options->size : sizeof(all));
    int rc = api_check_process(api_store(store), error);
    if (rc == ECSHIST_OK)
        rc = ehi_backup(api_store(store), to, &all, &out, error);
    if (rc == ECSHIST_OK && result != NULL) {
        out.size = result->size;
        memcpy(result, &out, out.size < sizeof(out) ? out.size : sizeof(out));
    }
    return rc;
}
