/* Shared by the files of api/ only. */
#ifndef EHI_API_INTERNAL_H
#define EHI_API_INTERNAL_H

#include "base/arena.h"
#include "codec/record.h"
#include "fold/store.h"
#include "json/json.h"

#include <ecshist/ecshist.h>
#include <stdatomic.h>

struct ecshist_store; /* is a struct ehi_store */

/*
 * Most who go through events do not ask what they say of themselves, and a derived id has to be hashed: `info` is made by the
 * first ecshist_event_info, its texts in room that is there already, so that it cannot fail. Several threads may ask at once.
 */
struct ecshist_event {
    struct ehi_slice record;
    struct ehi_slice reason; /* in the record; data NULL where it has none */
    char *texts;             /* room for subject, id and reason, a NUL behind each */
    atomic_int state;        /* of info: API_INFO_* */
    struct ecshist_event_info info;
};
enum { API_INFO_NONE, API_INFO_BUSY, API_INFO_MADE };

static inline struct ehi_store *api_store(ecshist_store *store)
{
    return (struct ehi_store *)store;
}

/* MISUSE in a forked child. */
int api_check_process(const struct ehi_store *store, struct ecshist_error *error);
/* Decodes and fills an event that borrows `record`; the room for its texts is in the arena. */
int api_event_init(struct ecshist_event *event, struct ehi_slice record, struct ehi_arena *arena,
                   struct ecshist_error *error);
/* The value as JSON: a text that the caller owns, NUL-terminated. out_length may be NULL. */
int api_write_value(const struct ehi_value *value, const struct ehi_json_style *style,
                    char **out_json, size_t *out_length, struct ecshist_error *error);

#ifdef ECSHIST_TEST_HOOKS
/* A cursor's thread (fold/ahead.h) is begun before the first event, or, where this is negative, never. */
extern int api_test_ahead;
#endif

#endif
