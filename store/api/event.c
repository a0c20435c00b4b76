#include "api/internal.h"
#include "model/time.h"
#include "json/json.h"

#include <stdlib.h>

/* An event made from JSON: one allocation, the texts and the record behind the struct. */
static size_t place_text(uint8_t *at, struct ehi_slice text, const char **out)
{
    if (text.length != 0)
        memcpy(at, text.data, text.length);
    at[text.length] = '\0';
    *out = (const char *)at;
    return text.length + 1;
}

static int make_event(const struct ehi_event *decoded, struct ehi_slice record, ecshist_event **out,
                      struct ecshist_error *error)
{
    char id_text[ECSHIST_MAX_ID_BYTES + 1];
    struct ehi_slice id = ehi_event_id(decoded, id_text);
    struct ecshist_event *event = malloc(sizeof(*event) + record.length + decoded->subject.length +
                                         id.length + decoded->reason.length + 3);
    if (event == NULL)
        return ehi_fail_memory(error);
    uint8_t *at = (uint8_t *)(event + 1);
    memcpy(at, record.data, record.length);
    event->record = ehi_slice(at, record.length);
    event->info = (struct ecshist_event_info)ECSHIST_EVENT_INFO_INIT;
    event->info.time_us = decoded->time_us;
    event->info.type = ehi_event_type_name(decoded->type);
    at += record.length;
    at += place_text(at, decoded->subject, &event->info.subject_arn);
    at += place_text(at, id, &event->info.id);
    if (decoded->reason.data != NULL)
        place_text(at, decoded->reason, &event->info.reason);
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
    struct ehi_arena arena = {0};
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
    char id_text[ECSHIST_MAX_ID_BYTES + 1];
    struct ehi_slice id = ehi_arena_copy(arena, ehi_event_id(&decoded, id_text));
    struct ehi_slice subject = ehi_arena_copy(arena, decoded.subject);
    struct ehi_slice reason = EHI_SLICE_EMPTY;
    if (decoded.reason.data != NULL)
        reason = ehi_arena_copy(arena, decoded.reason);
    if (id.data == NULL || subject.data == NULL ||
        (decoded.reason.data != NULL && reason.data == NULL))
        return ehi_fail_memory(error);
    event->record = record;
    event->info = (struct ecshist_event_info){sizeof(struct ecshist_event_info),
                                              decoded.seq,
                                              decoded.recorded_at_us,
                                              decoded.time_us,
                                              ehi_event_type_name(decoded.type),
                                              (const char *)subject.data,
                                              (const char *)id.data,
                                              (decoded.flags & EHI_EVENT_IGNORED) != 0,
                                              (const char *)reason.data};
    return ECSHIST_OK;
}

ECSHIST_API void ecshist_event_info(const ecshist_event *event, struct ecshist_event_info *info)
{
    size_t size = info->size;
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
