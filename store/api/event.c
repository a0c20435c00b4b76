#include "api/internal.h"
#include "model/time.h"
#include "json/json.h"

#include <assert.h>
#include <sched.h>
#include <stdlib.h>

/* -- info -------------------------------------------------------------------------------------- */

enum { DERIVED_ID_BYTES = 32 };

static size_t texts_room(const struct ehi_event *decoded)
{
    size_t id = decoded->id.length != 0 ? decoded->id.length : DERIVED_ID_BYTES;
    size_t reason = decoded->reason.data != NULL ? decoded->reason.length + 1 : 0;
    return decoded->subject.length + 1 + id + 1 + reason;
}

/* Where it ends, behind its NUL. */
static char *place_text(char *at, struct ehi_slice text, const char **out)
{
    if (text.length != 0)
        memcpy(at, text.data, text.length);
    at[text.length] = '\0';
    *out = at;
    return at + text.length + 1;
}

/* The record was decoded before, so that the envelope cannot be refused now. */
static void make_info(struct ecshist_event *event)
{
    struct ehi_event decoded;
    char id[ECSHIST_MAX_ID_BYTES + 1];
    int rc = ehi_event_decode_envelope(event->record, &decoded, NULL);
    assert(rc == ECSHIST_OK);
    (void)rc;
    struct ecshist_event_info *info = &event->info;
    *info = (struct ecshist_event_info)ECSHIST_EVENT_INFO_INIT;
    info->seq = decoded.seq;
    info->recorded_at_us = decoded.recorded_at_us;
    info->time_us = decoded.time_us;
    info->type = ehi_event_type_name(decoded.type);
    info->ignored = (decoded.flags & EHI_EVENT_IGNORED) != 0;
    char *at = place_text(event->texts, decoded.subject, &info->subject_arn);
    at = place_text(at, ehi_event_id(&decoded, id), &info->id);
    if (event->reason.data != NULL)
        place_text(at, event->reason, &info->reason);
}

/* One thread makes it, others wait for those few hundred nanoseconds. */
static void need_info(struct ecshist_event *event)
{
    int none = API_INFO_NONE;
    if (atomic_load_explicit(&event->state, memory_order_acquire) == API_INFO_MADE)
        return;
    if (atomic_compare_exchange_strong(&event->state, &none, API_INFO_BUSY)) {
        make_info(event);
        atomic_store_explicit(&event->state, API_INFO_MADE, memory_order_release);
    }
    while (atomic_load_explicit(&event->state, memory_order_acquire) != API_INFO_MADE)
        (void)sched_yield();
}

/* -- making one -------------------------------------------------------------------------------- */

/* An event made from JSON: one allocation, the record and the room for the texts behind the struct. */
static int make_event(const struct ehi_event *decoded, struct ehi_slice record, ecshist_event **out,
                      struct ecshist_error *error)
{
    struct ecshist_event *event = malloc(sizeof(*event) + record.length + texts_room(decoded));
    if (event == NULL)
        return ehi_fail_memory(error);
    uint8_t *copy = (uint8_t *)(event + 1);
    memcpy(copy, record.data, record.length);
    event->record = ehi_slice(copy, record.length);
    event->reason = decoded->reason;
    if (event->reason.data != NULL)
        event->reason.data = copy + (decoded->reason.data - record.data);
    event->texts = (char *)copy + record.length;
    atomic_init(&event->state, API_INFO_NONE);
    *out = event;
    return ECSHIST_OK;
}

static int event_from_text(const char *json, size_t length, struct ehi_arena *arena,
                           struct ehi_buffer *record, ecshist_event **out,
                           struct ecshist_error *error)
{
    struct ehi_value value;
    int rc = ehi_json_parse(json, length, arena, &value, error);
    if (rc == ECSHIST_OK)
        rc = ehi_record_encode(&value, record, error);
    struct ehi_event decoded;
    if (rc == ECSHIST_OK)
        rc = ehi_event_decode(ehi_buffer_slice(record), arena, &decoded, error);
    return rc == ECSHIST_OK ? make_event(&decoded, ehi_buffer_slice(record), out, error) : rc;
}

ECSHIST_API int ecshist_event_from_json(const char *json, size_t length, ecshist_event **out,
                                        struct ecshist_error *error)
{
    if (json == NULL || out == NULL)
        return ehi_fail(error, ECSHIST_MISUSE, "a pointer is NULL");
    /* What most events need while they are made is on the stack. */
    _Alignas(16) uint8_t pieces[8192];
    struct ehi_arena arena = ehi_arena_lent(pieces, sizeof(pieces));
    struct ehi_buffer record = {0};
    int rc = event_from_text(json, length, &arena, &record, out, error);
    ehi_buffer_free(&record);
    ehi_arena_free(&arena);
    return rc;
}

int api_event_init(struct ecshist_event *event, struct ehi_slice record, struct ehi_arena *arena,
                   struct ecshist_error *error)
{
    struct ehi_event decoded;
    int rc = ehi_event_decode(record, arena, &decoded, error);
    if (rc == ECSHIST_NO_MEMORY)
        return rc;
    if (rc != ECSHIST_OK)
        return ehi_fail(error, ECSHIST_DAMAGED, "an event of the log cannot be decoded");
    event->texts = ehi_arena_alloc(arena, texts_room(&decoded));
    if (event->texts == NULL)
        return ehi_fail_memory(error);
    event->record = record;
    event->reason = decoded.reason;
    atomic_init(&event->state, API_INFO_NONE);
    return ECSHIST_OK;
}

ECSHIST_API void ecshist_event_info(const ecshist_event *event, struct ecshist_event_info *info)
{
    size_t size = info->size;
    need_info((struct ecshist_event *)(uintptr_t)event); /* to the caller it never changes */
    memcpy(info, &event->info, size < sizeof(*info) ? size : sizeof(*info));
    info->size = size;
}

int api_write_value(const struct ehi_value *value, const struct ehi_json_style *style,
                    char **out_json, size_t *out_length, struct ecshist_error *error)
{
    struct ehi_buffer text = {0};
    if (ehi_json_write(value, style, &text) != ECSHIST_OK ||
        ehi_buffer_append(&text, "", 1) != ECSHIST_OK) {
        ehi_buffer_free(&text);
        return ehi_fail_memory(error);
    }
    *out_json = (char *)text.data;
    if (out_length != NULL)
        *out_length = text.length - 1;
    return ECSHIST_OK;
}

ECSHIST_API int ecshist_event_to_json(const ecshist_event *event, ecshist_json_form form,
                                      char **out_json, size_t *out_length,
                                      struct ecshist_error *error)
{
    if (event == NULL || out_json == NULL)
        return ehi_fail(error, ECSHIST_MISUSE, "a pointer is NULL");
    struct ehi_arena arena = {0};
    struct ehi_event decoded;
    struct ehi_value value;
    struct ehi_json_style style = {.iso_times = form == ECSHIST_JSON_CLI};
    int rc = ehi_event_decode_envelope(event->record, &decoded, error);
    if (rc == ECSHIST_OK)
        rc = ehi_event_to_value(&decoded, &arena, &value, error);
    if (rc == ECSHIST_OK)
        rc = api_write_value(&value, &style, out_json, out_length, error);
    ehi_arena_free(&arena);
    return rc;
}

ECSHIST_API void ecshist_event_free(ecshist_event *event)
{
    free(event);
}

ECSHIST_API void ecshist_free(void *text)
{
    free(text);
}

ECSHIST_API int ecshist_time_parse(const char *text, size_t length, int64_t *out_us,
                                   struct ecshist_error *error)
{
    if (text == NULL || out_us == NULL)
        return ehi_fail(error, ECSHIST_MISUSE, "a pointer is NULL");
    return ehi_time_parse_any(ehi_slice(text, length), out_us, error);
}

ECSHIST_API char *ecshist_time_format(int64_t time_us, ecshist_json_form form,
                                      char buffer[ECSHIST_TIME_TEXT_BYTES])
{
    if (form == ECSHIST_JSON_CLI)
        ehi_time_format_iso(time_us, buffer);
    else
        ehi_time_format_seconds(time_us, buffer);
    return buffer;
}
