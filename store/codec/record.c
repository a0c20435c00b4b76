#include "codec/record.h"

#include "codec/members.h"
#include "codec/pack.h"
#include "model/time.h"

/* An event's members, sorted: those of the envelope taken out, the known ones by their number. */
struct sorted {
    const struct ehi_member *known[EHI_KEY_COUNT + 1]; /* where its bit of `has` is set */
    uint64_t has[EHI_KEY_COUNT / 64 + 1];
    uint32_t known_count, unknown_count;
};

/* What the header holds, and the subject. */
struct envelope {
    int type;
    int64_t time_us;
    struct ehi_slice subject, id;
};

static bool has(const struct sorted *sorted, int number)
{
    return (sorted->has[number / 64] >> (number % 64) & 1) != 0;
}

static const struct ehi_value *known(const struct sorted *sorted, int number)
{
    return has(sorted, number) ? &sorted->known[number]->value : NULL;
}

/* The least number there is from this one on; above EHI_KEY_COUNT where there is none. */
static int next_known(const struct sorted *sorted, int from)
{
    for (int word = from / 64; word <= EHI_KEY_COUNT / 64; word++) {
        uint64_t bits = sorted->has[word];
        if (word == from / 64)
            bits &= UINT64_MAX << (from % 64);
        if (bits != 0)
            return word * 64 + __builtin_ctzll(bits);
    }
    return EHI_KEY_COUNT + 1;
}

static void take_out(struct sorted *sorted, int number)
{
    if (!has(sorted, number))
        return;
    sorted->has[number / 64] &= ~(UINT64_C(1) << (number % 64));
    sorted->known_count--;
}

static int at_key(struct ecshist_error *error, int rc, int number)
{
    return ehi_at(error, rc, "%s", (const char *)ehi_key_name(number).data);
}

static int sort_members(const struct ehi_value *event, struct sorted *out,
                        struct ecshist_error *error)
{
    memset(out->has, 0, sizeof(out->has));
    out->known_count = out->unknown_count = 0;
    for (uint32_t i = 0; i < event->count; i++) {
        const struct ehi_member *member = &event->u.members[i];
        int number = ehi_key_number(member->name);
        if (number == EHI_KEY_UNKNOWN) {
            out->unknown_count++;
            continue;
        }
        if (has(out, number))
            return at_key(error, ehi_fail(error, ECSHIST_INVALID, "is there twice"), number);
        out->known[number] = member;
        out->has[number / 64] |= UINT64_C(1) << (number % 64);
        out->known_count++;
    }
    return ECSHIST_OK;
}

/* A required string. */
static int get_text(const struct sorted *sorted, int number, struct ehi_slice *out,
                    struct ecshist_error *error)
{
    const struct ehi_value *value = known(sorted, number);
    if (value == NULL)
        return at_key(error, ehi_fail(error, ECSHIST_INVALID, "is required"), number);
    if (value->kind != EHI_VALUE_STRING)
        return at_key(error, ehi_fail(error, ECSHIST_INVALID, "must be a string"), number);
    *out = value->u.string;
    return ECSHIST_OK;
}

static int get_type(const struct sorted *sorted, int *out, struct ecshist_error *error)
{
    struct ehi_slice name;
    int rc = get_text(sorted, EHI_KEY_type, &name, error);
    if (rc != ECSHIST_OK)
        return rc;
    int type = ehi_event_type_number(name);
    if (type == EHI_HISTORY_EXPIRED)
        rc = ehi_fail(error, ECSHIST_INVALID, "history-expired is written by the store only");
    else if (type == 0)
        rc = ehi_fail(error, ECSHIST_INVALID, "there is no event type \"%.*s\"",
                      (int)(name.length < 100 ? name.length : 100), (const char *)name.data);
    if (rc != ECSHIST_OK)
        return at_key(error, rc, EHI_KEY_type);
    *out = type;
    return ECSHIST_OK;
}

static int get_time(const struct sorted *sorted, int64_t *out_us, struct ecshist_error *error)
{
    const struct ehi_value *value = known(sorted, EHI_KEY_time);
    int rc;
    if (value == NULL)
        rc = ehi_fail(error, ECSHIST_INVALID, "is required");
    else
        rc = ehi_time_from_value(value, out_us, error);
    return rc == ECSHIST_OK ? rc : at_key(error, rc, EHI_KEY_time);
}

static int get_id(const struct sorted *sorted, struct ehi_slice *out, struct ecshist_error *error)
{
    *out = EHI_SLICE_EMPTY;
    if (!has(sorted, EHI_KEY_id))
        return ECSHIST_OK;
    struct ehi_slice id;
    int rc = get_text(sorted, EHI_KEY_id, &id, error);
    if (rc != ECSHIST_OK)
        return rc;
    if (id.length == 0)
        return at_key(error, ehi_fail(error, ECSHIST_INVALID, "must not be empty"), EHI_KEY_id);
    if (id.length > ECSHIST_MAX_ID_BYTES)
        return at_key(
            error, ehi_fail(error, ECSHIST_LIMIT, "is longer than %u bytes", ECSHIST_MAX_ID_BYTES),
            EHI_KEY_id);
    *out = id;
    return ECSHIST_OK;
}

int ehi_subject_key(int type)
{
    switch (ehi_event_subject_kind(type)) {
    case EHI_ARN_DEPLOYMENT:
        return EHI_KEY_serviceDeploymentArn;
    case EHI_ARN_REVISION:
        return EHI_KEY_serviceRevisionArn;
    case EHI_ARN_SERVICE:
        return EHI_KEY_serviceArn;
    default:
        return EHI_KEY_UNKNOWN;
    }
}

/* An observation may name its subject only in what was observed. */
static const struct ehi_value *observed_subject(const struct sorted *sorted, int type)
{
    const struct ehi_value *observed = NULL;
    if (type == EHI_DEPLOYMENT_OBSERVED)
        observed = known(sorted, EHI_KEY_serviceDeployment);
    else if (type == EHI_REVISION_OBSERVED)
        observed = known(sorted, EHI_KEY_serviceRevision);
    if (observed == NULL)
        return NULL;
    return ehi_value_member(observed, (const char *)ehi_key_name(ehi_subject_key(type)).data);
}

static int get_subject(const struct sorted *sorted, int type, struct ehi_slice *out,
                       struct ecshist_error *error)
{
    int number = ehi_subject_key(type);
    const struct ehi_value *observed = observed_subject(sorted, type);
    struct ehi_slice subject;
    int rc = ECSHIST_OK;
    if (!has(sorted, number) && observed != NULL && observed->kind == EHI_VALUE_STRING)
        subject = observed->u.string;
    else
        rc = get_text(sorted, number, &subject, error);
    if (rc != ECSHIST_OK)
        return rc;
    if (subject.length > ECSHIST_MAX_ARN_BYTES)
        return at_key(
            error,
            ehi_fail(error, ECSHIST_LIMIT, "an ARN longer than %u bytes", ECSHIST_MAX_ARN_BYTES),
            number);
    *out = subject;
    return ECSHIST_OK;
}

static int get_envelope(struct sorted *sorted, struct envelope *out, struct ecshist_error *error)
{
    int rc = get_type(sorted, &out->type, error);
    if (rc == ECSHIST_OK)
        rc = get_time(sorted, &out->time_us, error);
    if (rc == ECSHIST_OK)
        rc = get_id(sorted, &out->id, error);
    if (rc == ECSHIST_OK)
        rc = get_subject(sorted, out->type, &out->subject, error);
    if (rc != ECSHIST_OK)
        return rc;
    take_out(sorted, EHI_KEY_type);
    take_out(sorted, EHI_KEY_time);
    take_out(sorted, EHI_KEY_id);
    take_out(sorted, EHI_KEY_seq);
    take_out(sorted, EHI_KEY_recordedAt);
    take_out(sorted, ehi_subject_key(out->type));
    return ECSHIST_OK;
}

/* The event itself is the first level of nesting. */
static int pack_member(struct ehi_packer *packer, int number, const struct ehi_member *member,
                       struct ecshist_error *error)
{
    if (number != EHI_KEY_UNKNOWN)
        ehi_pack_int(packer, number);
    else
        ehi_pack_text(packer, member->name);
    int rc = ehi_pack_value(packer, &member->value, ECSHIST_MAX_NESTING - 1, error);
    return rc == ECSHIST_OK ? rc : ehi_at(error, rc, "%.*s", EHI_FMT(member->name));
}

static int pack_known(struct ehi_packer *packer, const struct sorted *sorted,
                      struct ecshist_error *error)
{
    for (int number = next_known(sorted, 1); number <= EHI_KEY_COUNT;
         number = next_known(sorted, number + 1)) {
        int rc = pack_member(packer, number, sorted->known[number], error);
        if (rc != ECSHIST_OK)
            return rc;
    }
    return ECSHIST_OK;
}

static int pack_unknown(struct ehi_packer *packer, const struct ehi_value *event,
                        struct ecshist_error *error)
{
    for (uint32_t i = 0; i < event->count; i++) {
        const struct ehi_member *member = &event->u.members[i];
        if (ehi_key_number(member->name) != EHI_KEY_UNKNOWN)
            continue;
        int rc = pack_member(packer, EHI_KEY_UNKNOWN, member, error);
        if (rc != ECSHIST_OK)
            return rc;
    }
    return ECSHIST_OK;
}

static int pack_body(const struct ehi_value *event, const struct sorted *sorted,
                     struct ehi_buffer *out, struct ecshist_error *error)
{
    struct ehi_packer packer;
    ehi_packer_begin(&packer, out);
    ehi_pack_map(&packer, sorted->known_count + sorted->unknown_count);
    int rc = pack_known(&packer, sorted, error);
    if (rc == ECSHIST_OK && sorted->unknown_count > 0)
        rc = pack_unknown(&packer, event, error);
    if (rc == ECSHIST_OK && ehi_packer_end(&packer) != ECSHIST_OK)
        rc = ehi_fail_memory(error);
    return rc;
}

static size_t padding(size_t length)
{
    return (8 - length % 8) % 8;
}

static int check_size(int type, size_t bytes, struct ecshist_error *error)
{
    bool document = type == EHI_REVISION_CREATED || type == EHI_REVISION_OBSERVED ||
                    type == EHI_DEPLOYMENT_OBSERVED;
    size_t most = document ? ECSHIST_MAX_DOCUMENT_EVENT_BYTES : ECSHIST_MAX_EVENT_BYTES;
    if (bytes <= most)
        return ECSHIST_OK;
    return ehi_fail(error, ECSHIST_LIMIT, "the event takes %zu bytes as stored, a %s may take %zu",
                    bytes, ehi_event_type_name(type), most);
}

static void put_header(uint8_t *record, const struct envelope *envelope, size_t record_bytes,
                       size_t body_bytes)
{
    memset(record, 0, EHI_RECORD_HEADER_BYTES);
    ehi_put_le32(record + EHI_REC_BYTES, (uint32_t)record_bytes);
    ehi_put_le64(record + EHI_REC_TIME, (uint64_t)envelope->time_us);
    ehi_put_le16(record + EHI_REC_TYPE, (uint16_t)envelope->type);
    ehi_put_le16(record + EHI_REC_SUBJECT_BYTES, (uint16_t)envelope->subject.length);
    ehi_put_le16(record + EHI_REC_ID_BYTES, (uint16_t)envelope->id.length);
    ehi_put_le32(record + EHI_REC_BODY_BYTES, (uint32_t)body_bytes);
}

enum { BODY_GUESS = 400 };

/* Header (filled last), subject and id, and room for what most bodies are. */
static int append_front(struct ehi_buffer *out, const struct envelope *envelope)
{
    size_t front = EHI_RECORD_HEADER_BYTES + envelope->subject.length + envelope->id.length;
    int rc = ehi_buffer_reserve(out, front + BODY_GUESS);
    if (rc == ECSHIST_OK)
        rc = ehi_buffer_append_zeros(out, EHI_RECORD_HEADER_BYTES);
    if (rc == ECSHIST_OK)
        rc = ehi_buffer_append(out, envelope->subject.data, envelope->subject.length);
    if (rc == ECSHIST_OK)
        rc = ehi_buffer_append(out, envelope->id.data, envelope->id.length);
    return rc;
}

static int append_record(const struct ehi_value *event, const struct sorted *sorted,
                         const struct envelope *envelope, struct ehi_buffer *out,
                         struct ecshist_error *error)
{
    size_t start = out->length;
    if (append_front(out, envelope) != ECSHIST_OK)
        return ehi_fail_memory(error);
    size_t body = out->length;
    int rc = pack_body(event, sorted, out, error);
    if (rc != ECSHIST_OK)
        return rc;
    size_t body_bytes = out->length - body;
    rc = check_size(envelope->type, out->length - start - EHI_RECORD_HEADER_BYTES, error);
    if (rc != ECSHIST_OK)
        return rc;
    if (ehi_buffer_append_zeros(out, padding(out->length - start)) != ECSHIST_OK)
        return ehi_fail_memory(error);
    put_header(out->data + start, envelope, out->length - start, body_bytes);
    return ECSHIST_OK;
}

int ehi_record_encode(const struct ehi_value *event, struct ehi_buffer *out,
                      struct ecshist_error *error)
{
    if (event->kind != EHI_VALUE_MAP)
        return ehi_fail(error, ECSHIST_INVALID, "an event must be an object");
    struct sorted sorted;
    struct envelope envelope;
    int rc = sort_members(event, &sorted, error);
    if (rc == ECSHIST_OK)
        rc = get_envelope(&sorted, &envelope, error);
    if (rc != ECSHIST_OK)
        return rc;
    size_t before = out->length;
    rc = append_record(event, &sorted, &envelope, out, error);
    if (rc != ECSHIST_OK)
        out->length = before;
    return rc;
}

uint32_t ehi_record_checksum(const uint8_t *record, size_t bytes, uint64_t seed)
{
    return (uint32_t)ehi_hash64(record + EHI_REC_SEQ, bytes - EHI_REC_SEQ, seed);
}

void ehi_record_stamp(uint8_t *record, uint64_t seq, int64_t recorded_at_us, unsigned flags,
                      uint64_t seed)
{
    ehi_put_le64(record + EHI_REC_SEQ, seq);
    ehi_put_le64(record + EHI_REC_RECORDED_AT, (uint64_t)recorded_at_us);
    ehi_put_le16(record + EHI_REC_FLAGS, (uint16_t)flags);
    uint32_t bytes = ehi_get_le32(record + EHI_REC_BYTES);
    ehi_put_le32(record + EHI_REC_CHECKSUM, ehi_record_checksum(record, bytes, seed));
}

bool ehi_record_intact(struct ehi_slice bytes, uint64_t seed)
{
    if (!ehi_record_whole(bytes))
        return false;
    uint32_t whole = ehi_get_le32(bytes.data + EHI_REC_BYTES);
    return ehi_get_le32(bytes.data + EHI_REC_CHECKSUM) ==
           ehi_record_checksum(bytes.data, whole, seed);
}
