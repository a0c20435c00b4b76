/*
 * {"cutoff": TIME, "keepLast": BOOL, "services": [
 *    {"serviceArn": ARN, "status": "ACTIVE" | "INACTIVE" (absent: gone),
 *     "currentServiceRevisionArn": ARN, "createdSeq": SEQ, "finishedAt": TIME,
 *     "serviceDeployments": [ID...], "serviceRevisions": [ID...]}...]}
 * Times are RFC 3339 to the microsecond.
 */
#include "codec/expiry.h"

#include "codec/dictionary.h"
#include "codec/document.h"
#include "codec/pack.h"
#include "codec/record.h"
#include "model/time.h"

#include <ecshist/limits.h>
#include <stdio.h>

static const char status_active[] = "ACTIVE", status_inactive[] = "INACTIVE";

/* -- writing ----------------------------------------------------------------------------------- */

static void pack_name(struct ehi_packer *packer, const char *name)
{
    ehi_pack_key(packer, ehi_slice_text(name));
}

static void pack_time(struct ehi_packer *packer, const char *name, int64_t time_us)
{
    char text[EHI_TIME_BUFFER];
    pack_name(packer, name);
    ehi_pack_text(packer, ehi_slice(text, ehi_time_format_iso(time_us, text)));
}

static void pack_ids(struct ehi_packer *packer, const char *name, const struct ehi_slice *ids,
                     uint32_t count)
{
    if (count == 0)
        return;
    pack_name(packer, name);
    ehi_pack_array(packer, count);
    for (uint32_t i = 0; i < count; i++)
        ehi_pack_text(packer, ids[i]);
}

static void pack_service(struct ehi_packer *packer, const struct ehi_expired_service *s)
{
    bool has_current = !s->gone && s->current_revision_arn.data != NULL;
    bool has_end = has_current && s->current_finished_at_us != EHI_TIME_NONE;
    ehi_pack_map(packer, 1u + !s->gone + (has_current ? 2 : 0) + has_end +
                             (s->deployment_count != 0) + (s->revision_count != 0));
    pack_name(packer, "serviceArn");
    ehi_pack_text(packer, s->arn);
    if (!s->gone) {
        pack_name(packer, "status");
        ehi_pack_text(packer, ehi_slice_text(s->inactive ? status_inactive : status_active));
    }
    if (has_current) {
        pack_name(packer, "currentServiceRevisionArn");
        ehi_pack_text(packer, s->current_revision_arn);
        pack_name(packer, "createdSeq");
        ehi_pack_int(packer, (int64_t)s->current_created_seq);
    }
    if (has_end)
        pack_time(packer, "finishedAt", s->current_finished_at_us);
    pack_ids(packer, "serviceDeployments", s->deployments, s->deployment_count);
    pack_ids(packer, "serviceRevisions", s->revisions, s->revision_count);
}

static int pack_body(const struct ehi_expiry *expiry, struct ehi_buffer *out)
{
    struct ehi_packer packer;
    ehi_packer_begin(&packer, out);
    ehi_pack_map(&packer, 3);
    pack_time(&packer, "cutoff", expiry->cutoff_us);
    pack_name(&packer, "keepLast");
    ehi_pack_bool(&packer, expiry->keep_last);
    pack_name(&packer, "services");
    ehi_pack_array(&packer, expiry->count);
    for (uint32_t i = 0; i < expiry->count; i++)
        pack_service(&packer, &expiry->services[i]);
    return ehi_packer_end(&packer);
}

int ehi_expiry_encode(const struct ehi_expiry *expiry, int64_t time_us, struct ehi_buffer *out,
                      struct ecshist_error *error)
{
    size_t start = out->length;
    int rc = ehi_buffer_append_zeros(out, EHI_RECORD_HEADER_BYTES);
    if (rc == ECSHIST_OK)
        rc = pack_body(expiry, out);
    size_t body_bytes = out->length - start - EHI_RECORD_HEADER_BYTES;
    if (rc == ECSHIST_OK)
        rc = ehi_buffer_append_zeros(out, (8 - (out->length - start) % 8) % 8);
    if (rc == ECSHIST_OK && body_bytes > ECSHIST_MAX_DOCUMENT_EVENT_BYTES) {
        out->length = start;
        return ehi_fail(error, ECSHIST_LIMIT, "the event takes %zu bytes as stored, it may take %u",
                        body_bytes, ECSHIST_MAX_DOCUMENT_EVENT_BYTES);
    }
    if (rc != ECSHIST_OK) {
        out->length = start;
        return ehi_fail_memory(error);
    }
    uint8_t *record = out->data + start;
    ehi_put_le32(record + EHI_REC_BYTES, (uint32_t)(out->length - start));
    ehi_put_le64(record + EHI_REC_TIME, (uint64_t)time_us);
    ehi_put_le16(record + EHI_REC_TYPE, EHI_HISTORY_EXPIRED);
    ehi_put_le32(record + EHI_REC_BODY_BYTES, (uint32_t)body_bytes);
    return ECSHIST_OK;
}

/* -- reading ----------------------------------------------------------------------------------- */

static int malformed(const char *member, struct ecshist_error *error)
{
    return ehi_fail(error, ECSHIST_DAMAGED,
                    "a history-expired event's member %s is not what it must be", member);
}

static int read_time(const struct ehi_value *map, const char *name, int64_t *out_us,
                     struct ecshist_error *error)
{
    const struct ehi_value *value = ehi_value_member(map, name);
    if (value == NULL || ehi_time_from_value(value, out_us, NULL) != ECSHIST_OK)
        return malformed(name, error);
    return ECSHIST_OK;
}

static int read_ids(const struct ehi_value *map, const char *name, struct ehi_arena *arena,
                    struct ehi_slice **out, uint32_t *out_count, struct ecshist_error *error)
{
    const struct ehi_value *list = ehi_value_member(map, name);
    *out = NULL;
    *out_count = 0;
    if (list == NULL)
        return ECSHIST_OK;
    if (list->kind != EHI_VALUE_ARRAY)
        return malformed(name, error);
    struct ehi_slice *ids = ehi_arena_array(arena, list->count, sizeof(*ids));
    if (ids == NULL)
        return ehi_fail_memory(error);
    for (uint32_t i = 0; i < list->count; i++) {
        const struct ehi_value *id = &list->u.items[i];
        if (id->kind != EHI_VALUE_STRING || id->u.string.length == 0 ||
            id->u.string.length > ECSHIST_MAX_RESOURCE_ID_BYTES)
            return malformed(name, error);
        ids[i] = id->u.string;
    }
    *out = ids;
    *out_count = list->count;
    return ECSHIST_OK;
}

static int read_current(const struct ehi_value *map, struct ehi_expired_service *out,
                        struct ecshist_error *error)
{
    const struct ehi_value *arn = ehi_value_member(map, "currentServiceRevisionArn");
    const struct ehi_value *seq = ehi_value_member(map, "createdSeq");
    if (arn == NULL)
        return ECSHIST_OK;
    if (arn->kind != EHI_VALUE_STRING)
        return malformed("currentServiceRevisionArn", error);
    if (seq == NULL || seq->kind != EHI_VALUE_INT || seq->u.integer < 0)
        return malformed("createdSeq", error);
    out->current_revision_arn = arn->u.string;
    out->current_created_seq = (uint64_t)seq->u.integer;
    out->current_finished_at_us = EHI_TIME_NONE;
    return ehi_value_member(map, "finishedAt") == NULL
               ? ECSHIST_OK
               : read_time(map, "finishedAt", &out->current_finished_at_us, error);
}

static int read_service(const struct ehi_value *map, struct ehi_arena *arena,
                        struct ehi_expired_service *out, struct ecshist_error *error)
{
    const struct ehi_value *arn = ehi_value_member(map, "serviceArn");
    const struct ehi_value *status = ehi_value_member(map, "status");
    struct ehi_arn parsed;
    *out = (struct ehi_expired_service){.gone = status == NULL};
    if (arn == NULL || arn->kind != EHI_VALUE_STRING ||
        ehi_arn_parse_as(EHI_ARN_SERVICE, arn->u.string, &parsed, NULL) != ECSHIST_OK)
        return malformed("serviceArn", error);
    out->arn = arn->u.string;
    if (status != NULL && status->kind != EHI_VALUE_STRING)
        return malformed("status", error);
    out->inactive = status != NULL && ehi_slice_is(status->u.string, status_inactive);
    int rc = read_current(map, out, error);
    if (rc == ECSHIST_OK)
        rc = read_ids(map, "serviceDeployments", arena, &out->deployments, &out->deployment_count,
                      error);
    if (rc == ECSHIST_OK)
        rc = read_ids(map, "serviceRevisions", arena, &out->revisions, &out->revision_count, error);
    return rc;
}

static int read_services(const struct ehi_value *body, struct ehi_arena *arena,
                         struct ehi_expiry *out, struct ecshist_error *error)
{
    const struct ehi_value *list = ehi_value_member(body, "services");
    if (list == NULL || list->kind != EHI_VALUE_ARRAY)
        return malformed("services", error);
    out->services = ehi_arena_array(arena, list->count, sizeof(*out->services));
    if (out->services == NULL)
        return ehi_fail_memory(error);
    out->count = list->count;
    int rc = ECSHIST_OK;
    for (uint32_t i = 0; i < list->count && rc == ECSHIST_OK; i++)
        rc = read_service(&list->u.items[i], arena, &out->services[i], error);
    return rc;
}

int ehi_expiry_decode(struct ehi_slice record, struct ehi_arena *arena, struct ehi_expiry *out,
                      struct ecshist_error *error)
{
    struct ehi_event event;
    struct ehi_value body;
    if (ehi_event_decode_envelope(record, &event, NULL) != ECSHIST_OK ||
        event.type != EHI_HISTORY_EXPIRED)
        return malformed("type", error);
    int rc = ehi_document_decode(event.body, arena, &body, error);
    if (rc != ECSHIST_OK)
        return rc;
    const struct ehi_value *keep = ehi_value_member(&body, "keepLast");
    struct ehi_expiry expiry = {0};
    if (keep == NULL || keep->kind != EHI_VALUE_BOOL)
        return malformed("keepLast", error);
    expiry.keep_last = keep->u.boolean;
    rc = read_time(&body, "cutoff", &expiry.cutoff_us, error);
    if (rc == ECSHIST_OK)
        rc = read_services(&body, arena, &expiry, error);
    if (rc == ECSHIST_OK)
        *out = expiry;
    return rc;
}

struct ehi_slice ehi_expired_arn(struct ehi_slice service_arn, enum ehi_arn_kind kind,
                                 struct ehi_slice id, char buffer[EHI_ARN_BUFFER])
{
    const char *word = kind == EHI_ARN_DEPLOYMENT ? "service-deployment" : "service-revision";
    struct ehi_arn arn;
    size_t length = 0;
    if (ehi_arn_parse(service_arn, &arn, NULL) != ECSHIST_OK)
        return EHI_SLICE_EMPTY;
    int written = snprintf(buffer, EHI_ARN_BUFFER, "arn:%.*s:ecs:%.*s:%.*s:%s/%.*s/%.*s/%.*s",
                           EHI_FMT(arn.partition), EHI_FMT(arn.region), EHI_FMT(arn.account), word,
                           EHI_FMT(arn.cluster), EHI_FMT(arn.service), EHI_FMT(id));
    if (written > 0 && written < EHI_ARN_BUFFER)
        length = (size_t)written;
    return ehi_slice(buffer, length);
}
